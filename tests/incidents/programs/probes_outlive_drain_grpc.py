"""A gRPC service with a call that takes its time, and health that is asked all the while."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, Settings, requires
from lifecycle.integrations import grpc
from tests.e2e.say import say
from tests.edges.grpc.services import add_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
SECONDS = 1.0
"""The 30 s of the incident."""
shop = Registry("shop")
health = grpc.health_server("127.0.0.1:0")


@shop.component
async def database() -> AsyncIterator[str]:
    """Something that the call needs until its end."""
    yield "a database"
    say("database closed")


async def pack(request: bytes, context: Any) -> bytes:
    """Take a while."""
    say("packs")
    await anyio.sleep(SECONDS)
    say("packed")
    return b"packed"


def pack_in_thread(request: bytes, context: Any) -> bytes:
    """Do the same in a thread."""
    say("packs")
    threading.Event().wait(SECONDS)
    say("packed")
    return b"packed"


@shop.build
def web(database: str = requires(database)) -> grpc.Server | grpc.SyncServer:
    """Serve, by what the event loop can do."""
    del database
    if BACKEND == "trio":
        return grpc.sync_server(
            lambda server: add_service(server, {"Pack": ("unary", pack_in_thread)}),
            address="127.0.0.1:0",
        )
    return grpc.server(
        lambda server: add_service(server, {"Pack": ("unary", pack)}), address="127.0.0.1:0"
    )


@shop.service
async def announcer(life: Lifetime, web: Any = requires(web)) -> None:
    """Say where everything is."""
    say("serves", web.target, health.target)
    life.started()
    await life.wait_draining()


settings = Settings(drain_delay=0.3, grace_period=60)
lifecycle.run(shop, settings, backend=BACKEND, companions=[health])
