"""A shutdown that takes longer than a person at a terminal waits."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, Settings, requires
from tests.e2e.outside import wait_for_ever
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
MODE = sys.argv[2]
shop = Registry("shop")


def block() -> None:
    """Block the event loop; signal handlers are called all the same, unless a mode says so."""
    if "outside of Python" in MODE:
        threading.Thread(target=tick, daemon=True).start()
        wait_for_ever()
    tick()


def tick() -> None:
    """Say again and again that time has passed."""
    while True:
        time.sleep(0.2)  # blocks on purpose: only a further interrupt ends it
        say("tick")


@shop.component
async def database() -> AsyncIterator[str]:
    """Is stopped even where the drain is cut short."""
    yield "database"
    say("database closed")


@shop.component
async def cache(database: str = requires(database)) -> AsyncIterator[str]:
    """May block the event loop in its stop."""
    yield "cache"
    say("cache closes")
    if MODE.startswith("blocks the stop"):
        block()


@shop.service
async def orders(life: Lifetime, cache: str = requires(cache)) -> None:
    """Has work in flight that takes long, or not quite so long."""
    life.started()
    say("ready")
    if MODE == "blocks the loop":
        block()
    await life.wait_draining()
    with life.hold("order 1"):
        while MODE == "drains":
            await anyio.sleep(0.2)
            say("tick")
        await anyio.sleep(0.2)  # what comes sooner would be taken for the first interrupt
        if MODE == "twice at once":
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep_forever()
        if MODE == "exit code":
            life.system.shut_down("the work says so", exit_code=3)
            say("tick")
            await anyio.sleep_forever()
        say("order 1 done")


watched = not MODE.endswith("unwatched")
settings = Settings(grace_period=100, drain_delay=50, watchdog=watched)
lifecycle.run(shop, settings, backend=BACKEND)
say("run returned")
