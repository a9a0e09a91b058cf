"""A service that is asked to drain, and gets its SIGTERM after that."""

from __future__ import annotations

import os
import signal

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, Settings, events, signals

shop = Registry("shop")


@shop.service
async def work(life: Lifetime) -> None:
    """Go on until SIGTERM has come, too."""
    ours, handlers = os.pipe()
    told = signals.handling([signal.SIGTERM])
    told.on_signal = lambda _: os.write(handlers, b"told")
    life.started()
    with told, life.hold("the last order"):
        await anyio.wait_readable(ours)
    print("> told by SIGTERM")


def tell(event: events.Event) -> None:
    """Say where the system is."""
    if isinstance(event, events.PhaseChanged) and event.phase != "starting":
        print(f"> {event.phase}")


settings = Settings(drain_delay=1, grace_period=60, probes="127.0.0.1:0")
lifecycle.run(shop, settings, observers=[tell])
