"""A hook that ignores its cancellation, and that ends before the system does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, Settings, requires
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[tuple[anyio.Event, anyio.Event]]:
    """Is closed when the one that uses it was abandoned, and ends after that."""
    closing, unused = anyio.Event(), anyio.Event()
    yield closing, unused
    closing.set()
    await unused.wait()
    say("database closed")


@shop.component(stop_timeout=0.1)
async def cache(
    database: tuple[anyio.Event, anyio.Event] = requires(database),
) -> AsyncIterator[str]:
    """Goes on after its cancellation."""
    say("ready")
    yield "cache"
    closing, unused = database
    with anyio.CancelScope(shield=True):
        await closing.wait()
    unused.set()
    say("cache closed")


try:
    lifecycle.run(shop, Settings(grace_period=100, stop_timeout=90), backend=BACKEND)
finally:
    say("cleaned up")
