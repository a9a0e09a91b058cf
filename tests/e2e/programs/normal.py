"""A service with an order in flight when it is asked to end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, requires

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BACKEND: Any = sys.argv[1]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    """The first to start and the last to stop."""
    print("> database opened")
    yield "database"
    print("> database closed")


@shop.component
def cache(database: str = requires(database)) -> Iterator[str]:
    """Sync, so in a thread of its own."""
    print("> cache opened")
    yield "cache"
    print("> cache closed")


@shop.component
async def mailer(database: str = requires(database)) -> AsyncIterator[str]:
    """Slow to drain and to stop, so that a wrong order shows."""
    print("> mailer opened")
    yield "mailer"
    await anyio.sleep(0.2)
    print("> mailer closed")


@mailer.drain
async def _(mailer: str) -> None:
    await anyio.sleep(0.2)
    print("> mailer drained")


@shop.service
async def orders(
    life: Lifetime, cache: str = requires(cache), mailer: str = requires(mailer)
) -> None:
    """Has an order in flight that takes a while longer than the request to end."""
    life.started()
    with life.hold("order 1"):
        print("> order 1 accepted")
        await life.wait_draining()
        await anyio.sleep(0.2)
        print("> order 1 done")
    await life.wait_stopping()
    print("> orders stopped")


lifecycle.run(shop, backend=BACKEND)
print("> run returned")
