"""A stop hook that raises, or hangs."""

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
MODE = sys.argv[2]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    """Is stopped after the bad one."""
    yield "database"
    say("database closed")


@shop.component(stop_timeout=1)
async def cache(database: str = requires(database)) -> AsyncIterator[str]:
    """The bad one."""
    yield "cache"
    say("cache closes")
    if MODE == "raises":
        message = "the cache is on fire"
        raise ValueError(message)
    await anyio.sleep(1000)


@shop.component
async def metrics(database: str = requires(database)) -> AsyncIterator[str]:
    """Is stopped beside it."""
    yield "metrics"
    say("metrics closed")


@shop.component
async def web(cache: str = requires(cache), metrics: str = requires(metrics)) -> AsyncIterator[str]:
    """Is stopped before it."""
    say("ready")
    yield "web"
    say("web closed")


lifecycle.run(shop, Settings(grace_period=100, stop_timeout=90), backend=BACKEND)
say("run returned")
