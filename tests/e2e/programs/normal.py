"""A service with an order in flight when it is asked to end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, requires
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BACKEND: Any = sys.argv[1]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    """The first to start and the last to stop."""
    say("database opened")
    yield "database"
    say("database closed")


@shop.component
def cache(database: str = requires(database)) -> Iterator[str]:
    """Sync, so in a thread of its own."""
    say("cache opened")
    yield "cache"
    say("cache closed")


@shop.component
async def mailer(database: str = requires(database)) -> AsyncIterator[str]:
    """Slow to drain and to stop, so that a wrong order shows."""
    say("mailer opened")
    yield "mailer"
    await anyio.sleep(0.2)
    say("mailer closed")


@mailer.drain
async def _(mailer: str) -> None:
    await anyio.sleep(0.2)
    say("mailer drained")


@shop.service
async def orders(
    life: Lifetime, cache: str = requires(cache), mailer: str = requires(mailer)
) -> None:
    """Has an order in flight that takes a while longer than the request to end."""
    life.started()
    with life.hold("order 1"):
        say("order 1 accepted")
        await life.wait_draining()
        await anyio.sleep(0.2)
        say("order 1 done")
    await life.wait_stopping()
    say("orders stopped")


lifecycle.run(shop, backend=BACKEND)
say("run returned")
