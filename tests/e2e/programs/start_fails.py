"""A component that cannot start, after others did."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, requires
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    """Is stopped last."""
    say("database opened")
    yield "database"
    say("database closed")


@shop.component
async def cache(database: str = requires(database)) -> AsyncIterator[str]:
    """Is slow to stop, so that a wrong order shows."""
    say("cache opened")
    yield "cache"
    await anyio.sleep(0.2)
    say("cache closed")


@shop.component
async def broker(cache: str = requires(cache)) -> str:
    """Fails."""
    message = "broker:9092 refused the connection"
    raise ConnectionError(message)


@shop.component
async def web(broker: str = requires(broker)) -> AsyncIterator[str]:
    """Is never started."""
    say("web opened")
    yield "web"
    say("web closed")


lifecycle.run(shop, backend=BACKEND)
say("run returned")
