"""Background work that crashes while a request is in flight elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, requires
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
MODE = sys.argv[2]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    """Is closed last."""
    yield "database"
    say("database closed")


async def crash(life: Lifetime) -> None:
    """Crash once everything runs, with a request in flight."""
    await life.system.ready(web)
    message = "the broker is gone"
    raise RuntimeError(message)


@shop.service(enabled=MODE == "service")
async def consumer(life: Lifetime, database: str = requires(database)) -> None:
    """Crashes as a service."""
    life.started()
    await crash(life)


@shop.component(enabled=MODE == "group", name="consumer")
async def consumer_with_a_group(
    life: Lifetime, database: str = requires(database)
) -> AsyncIterator[str]:
    """Crashes in a task group that is open across its yield."""
    async with anyio.create_task_group() as group:
        group.start_soon(crash, life)
        yield "consumer"


@shop.service
async def web(life: Lifetime, database: str = requires(database)) -> None:
    """Has a request in flight, and finishes it."""
    with life.hold("request 1"):
        life.started()
        await life.wait_draining()
        await anyio.sleep(0.2)
        say("request 1 answered")
    await life.wait_stopping()
    say("web closed")


lifecycle.run(shop, backend=BACKEND)
say("run returned")
