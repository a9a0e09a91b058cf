"""A gRPC server that never starts to serve, or whose calls never end."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, Settings
from lifecycle.integrations import grpc
from tests.e2e.say import say
from tests.edges.grpc.services import add_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
WHAT = sys.argv[2]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[None]:
    """Something to be closed behind the server."""
    yield
    say("database closed")


async def endless(request: bytes, context: Any) -> AsyncIterator[bytes]:
    """Stream for ever."""
    try:
        while True:
            yield b"tick"
            await anyio.sleep(0.01)
    finally:
        say("stream ends")


def stuck(request: bytes, context: Any) -> bytes:
    """Hang in a driver."""
    say("stuck")
    threading.Event().wait()
    return b""


async def register(server: Any) -> None:
    """Add the service."""
    if WHAT == "hangs":
        server.add_insecure_port("127.0.0.1:0")
        say("hangs")
        try:
            await anyio.sleep_forever()
        finally:
            say("gives up")
    add_service(server, {"Endless": ("downstream", endless), "Stuck": ("unary", stuck)})


make = grpc.sync_server if WHAT == "stuck" else grpc.server
shop.add(make(register, address="127.0.0.1:0"), name="web", after=[database])
# 1.7 s to drain, and more than enough for all the rest.
settings = Settings(grace_period=14.5, close_reserve=12.3, stop_timeout=0.5)
lifecycle.run(shop, settings, backend=BACKEND)
