"""A shop as a service of systemd, in which one thing is unusual.

``shop.py MODE SECONDS BACKEND``
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, Settings
from lifecycle.integrations import systemd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

mode = sys.argv[1]
seconds = float(sys.argv[2])
backend: Any = sys.argv[3]
shop = Registry("shop")


def block() -> None:
    """Block the thread that calls it: a driver that never comes back."""
    time.sleep(1000)  # blocks on purpose: systemd, or the grace period, is to end it


def spawn() -> subprocess.Popen[bytes]:
    """Start a child process that ends when it is told to, and not before; its stdout shows that."""
    return subprocess.Popen(["sleep", "1000"], stdout=subprocess.PIPE)  # noqa: S607  wherever it is


@shop.component
async def database() -> AsyncIterator[str]:
    """May fail, or take long, to start, and hang in its stop."""
    child = spawn() if mode == "has_child" else None
    if mode == "start_fails":
        message = "password 1234"
        raise ConnectionRefusedError(message)
    if mode == "start_takes_long":
        await anyio.sleep(seconds)
    yield "database"
    if mode.startswith("stop_blocks"):
        block()
    if child is not None and child.stdout is not None:
        with anyio.move_on_after(seconds):
            await anyio.wait_readable(child.stdout)
            child.wait()
        sys.stdout.write(f"child: {child.poll()}\n")


@shop.service(requires=[database])
async def orders(life: Lifetime) -> None:
    """May block the loop while it runs, ask for the end by itself, and take long to drain."""
    life.started()
    if mode == "loop_blocks":
        await anyio.sleep(seconds)
        block()
    if mode == "ends_itself":
        life.system.shut_down("enough")
    with life.hold("an order"):
        await life.wait_draining()
        if mode in ("drain_takes_long", "ends_itself"):
            await anyio.sleep(seconds)


@orders.check(liveness=True)
async def alive(_: Any) -> bool:
    """Whether it is."""
    return mode != "is_dead"


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("lifecycle.systemd").setLevel(logging.DEBUG)
    settings = Settings(
        # A busy machine is not to use up what only those that hang are to come to.
        grace_period=seconds + (3 if mode.startswith("stop_blocks") else 60),
        check_timeout=2,
        drain_delay=0.2 if mode.startswith("stop_blocks") else 0,  # a blocked loop says nothing
        watchdog=mode != "stop_blocks_for_ever",  # nobody but systemd is to end it
    )
    lifecycle.run(shop, settings, backend=backend, companions=[systemd.notifier()])
