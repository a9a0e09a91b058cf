"""A service that keeps its loop busy, and says when its handler of SIGTERM has run."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

import lifecycle
from lifecycle import Lifetime, Registry, Settings
from lifecycle.probes import ProbeServer
from tests.e2e.say import say

if TYPE_CHECKING:
    from types import FrameType

BACKEND: Any = sys.argv[1]
shop = Registry("shop")
probes = ProbeServer("127.0.0.1:0")
database = shop.value("database", name="database")
handled_at: list[float] = []


@database.check
async def answers(_: str) -> None:
    """Is asked all the time."""
    await anyio.lowlevel.checkpoint()


@shop.service
async def work(life: Lifetime) -> None:
    """Works for a millisecond in each turn of the loop, until it is to drain."""
    say("port", probes.port)
    life.started()
    while not life.draining:
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass
        await anyio.lowlevel.checkpoint()


@shop.service(after=[work])
async def clock(life: Lifetime) -> None:
    """Put a clock behind the handler that is there."""
    handler: Any = signal.getsignal(signal.SIGTERM)

    def timed(number: int, frame: FrameType | None) -> None:
        handler(number, frame)
        handled_at.append(time.monotonic())

    signal.signal(signal.SIGTERM, timed)
    life.started()
    await life.wait_draining()


settings = Settings(drain_delay=200, grace_period=240, check_ttl=0.01)
lifecycle.run(shop, settings, backend=BACKEND, companions=[probes])
say("handled at", handled_at[0])
