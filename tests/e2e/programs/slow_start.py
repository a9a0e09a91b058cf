"""A start that takes much longer than anybody waits."""

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
async def database() -> AsyncIterator[str]:
    """Has started by then."""
    say("database opened")
    yield "database"
    say("database closed")


@shop.component
async def index(database: str = requires(database)) -> AsyncIterator[str]:
    """Is interrupted in its start, and cleans up after itself."""
    try:
        say("index is being built")
        await anyio.sleep(1000)
        yield "index"
        say("index closed")
    finally:
        say("index removed")


@shop.component
async def web(index: str = requires(index)) -> str:
    """Is never started."""
    say("web opened")
    return "web"


lifecycle.run(shop, Settings(start_timeout=1000), backend=BACKEND)
say("run returned")
