"""A gRPC server with one slow call, and probes beside it, by HTTP and by gRPC."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

import lifecycle
from lifecycle import Lifetime, Registry, Settings
from lifecycle.integrations import grpc
from lifecycle.probes import ProbeServer
from tests.e2e.say import say
from tests.edges.grpc.services import add_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
END_OF_CALL = Path(sys.argv[2])
"""A FIFO, which is written to when the call is to end: after 30 s in the incident."""

shop = Registry("shop")
probes = ProbeServer("127.0.0.1:0")
health = grpc.health_server("127.0.0.1:0")


@shop.component
async def database() -> AsyncIterator[None]:
    """Takes a moment to close, behind the server."""
    yield
    await anyio.sleep(0.25)
    say("database closed")


def slow(request: bytes, context: Any) -> bytes:
    """Answer slowly, in a thread."""
    say("call begins")
    END_OF_CALL.read_bytes()
    say("call ends")
    return b"the result"


async def slow_async(request: bytes, context: Any) -> bytes:
    """Do the same on the event loop."""
    return await anyio.to_thread.run_sync(slow, request, context)


server: Any
if BACKEND == "trio":  # grpc.aio does not run there
    server = grpc.sync_server(
        lambda server: add_service(server, {"Slow": ("unary", slow)}), address="127.0.0.1:0"
    )
else:
    server = grpc.server(
        lambda server: add_service(server, {"Slow": ("unary", slow_async)}), address="127.0.0.1:0"
    )
shop.add(server, name="web", after=[database])


@shop.service(after=["web"])
async def tell(life: Lifetime) -> None:
    """Say where everything is."""
    say("serves", server.target, health.target, probes.port)
    life.started()
    await life.wait_draining()


lifecycle.run(
    shop,
    Settings(drain_delay=0.25, grace_period=60),
    backend=BACKEND,
    companions=[probes, health],
)
say("run returned")
