"""A gRPC service with short calls, long ones, and a stream; messages are bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import grpc

from lifecycle import Lifetime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def get(request: bytes, context: Any) -> bytes:
    return b"an order"


async def pack(request: bytes, context: Any) -> bytes:
    await anyio.sleep(3)
    return b"packed"


async def endless(request: bytes, context: Any) -> AsyncIterator[bytes]:
    while True:
        yield b"tick"
        await anyio.sleep(0.5)


async def ticks(request: bytes, context: Any) -> AsyncIterator[bytes]:
    async for tick in Lifetime.current().system.until_draining(endless(request, context)):
        yield tick


def add(server: Any, *, is_hosted: bool) -> None:
    """Add it to a server."""
    methods: dict[str, Any] = {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "Pack": grpc.unary_unary_rpc_method_handler(pack),
        "Ticks": grpc.unary_stream_rpc_method_handler(ticks if is_hosted else endless),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", methods),))
