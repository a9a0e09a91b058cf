"""A start that takes much longer than anybody waits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, Settings, requires

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    """Has started by then."""
    print("> database opened")
    yield "database"
    print("> database closed")


@shop.component
async def index(database: str = requires(database)) -> AsyncIterator[str]:
    """Is interrupted in its start, and cleans up after itself."""
    try:
        print("> index is being built")
        await anyio.sleep(1000)
        yield "index"
        print("> index closed")
    finally:
        print("> index removed")


@shop.component
async def web(index: str = requires(index)) -> str:
    """Is never started."""
    print("> web opened")
    return "web"


lifecycle.run(shop, Settings(start_timeout=1000), backend=BACKEND)
print("> run returned")
