"""A hook that nothing in the event loop can end."""

from __future__ import annotations

import functools
import resource
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

import lifecycle
from lifecycle import Lifetime, Registry, Settings, requires
from tests.e2e.outside import wait_for_ever
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BACKEND: Any = sys.argv[1]
MODE = sys.argv[2]
OTHERS = ("thread", "drain", "block the loop, and a thread asks")
shop = Registry("shop")


def block() -> None:
    """Block the thread that calls it."""
    if "outside of Python" in MODE:
        threading.Timer(0.5, say, ["stuck"]).start()  # by then it is: before, a handler is called
        wait_for_ever()
    say("stuck")
    if MODE.endswith("no descriptor is left"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    time.sleep(100)  # blocks on purpose: the grace period must end it


async def swallow_the_cancellation() -> None:
    """Go on after having been cancelled."""
    say("stuck")
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(100)


@shop.component
async def database() -> AsyncIterator[str]:
    """What the stuck one uses; it is closed all the same, where the loop still runs."""
    yield "database"
    say("database closed")


@shop.component(enabled=MODE not in OTHERS, stop_timeout=2 if MODE == "worker" else 0.5)
async def cache(database: str = requires(database)) -> AsyncIterator[str]:
    """Is stuck in its stop, or in its start."""
    if MODE.endswith("at the start"):
        block()
    say("ready")
    yield "cache"
    if MODE == "swallow":
        await swallow_the_cancellation()
    elif MODE.startswith("block the loop"):
        block()
    elif MODE == "worker":
        await anyio.to_thread.run_sync(block)


@shop.component(enabled=MODE == "thread", stop_timeout=2)  # to have said so by then
def files(database: str = requires(database)) -> Iterator[str]:
    """Is stuck in its stop, in its own thread."""
    say("ready")
    yield "files"
    block()


@shop.service(enabled=MODE == "drain", drain_timeout=0.5, stop_timeout=0.5)
async def orders(life: Lifetime, database: str = requires(database)) -> None:
    """Does not come to an end."""
    life.started()
    say("ready")
    await life.wait_draining()
    await swallow_the_cancellation()


@shop.service(enabled=MODE == "block the loop, and a thread asks")
async def work(life: Lifetime, database: str = requires(database)) -> None:
    """Blocks the event loop, which is never told that it is to end."""
    life.started()
    reason = "there is enough"
    ask = functools.partial(life.system.shut_down, reason, exit_code=3)
    threading.Thread(target=ask, daemon=True).start()
    block()


# Only a blocked event loop needs the grace period to be over; everything else ends before. From 5 s
# on the watchdog has most time to act: half a second, before the process is ended by force.
GRACE = 5 if MODE.startswith("block") else 100
lifecycle.run(shop, Settings(grace_period=GRACE), backend=BACKEND)
say("run returned")
