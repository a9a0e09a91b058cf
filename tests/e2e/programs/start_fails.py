"""A component that cannot start, after others did."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, requires

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    """Is stopped last."""
    print("> database opened")
    yield "database"
    print("> database closed")


@shop.component
async def cache(database: str = requires(database)) -> AsyncIterator[str]:
    """Is slow to stop, so that a wrong order shows."""
    print("> cache opened")
    yield "cache"
    await anyio.sleep(0.2)
    print("> cache closed")


@shop.component
async def broker(cache: str = requires(cache)) -> str:
    """Fails."""
    message = "broker:9092 refused the connection"
    raise ConnectionError(message)


@shop.component
async def web(broker: str = requires(broker)) -> AsyncIterator[str]:
    """Is never started."""
    print("> web opened")
    yield "web"
    print("> web closed")


lifecycle.run(shop, backend=BACKEND)
print("> run returned")
