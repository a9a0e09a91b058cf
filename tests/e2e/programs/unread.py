"""A program that ends badly, and whose stderr is a pipe that nobody reads, or cannot be written."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
END = sys.argv[2]
MORE_THAN_A_PIPE_TAKES = "x" * 1_000_000
settings = Settings(grace_period=2)
shop = Registry("shop")


def fill_stderr(room: int) -> None:
    """Write until it takes no more than a few bytes; threads have more to tell than that."""
    os.set_blocking(2, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(2, b"x")
    os.set_blocking(2, True)
    os.read(nobody, room)
    for _ in range(100 if room else 0):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def interrupt_thrice() -> None:
    """Interrupt it once it is being told how it ended, and is stuck in that."""
    os.read(nobody, 1)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)  # blocks on purpose: sooner it would be taken for the same one


@shop.service
async def works() -> None:
    """Crashes, or blocks the event loop when the program is asked to end."""
    if END.startswith("blocked"):
        fill_stderr(room=0 if END == "blocked" else 8192)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1000)  # noqa: ASYNC251  # blocks on purpose: the grace period must end it
    if END != "left behind":
        raise ValueError(MORE_THAN_A_PIPE_TAKES)


@shop.component(stop_timeout=0.1)
async def cache() -> AsyncIterator[str]:
    """May ignore its cancellation."""
    yield "cache"
    if END == "left behind":
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()


if END == "left behind":
    settings = Settings(grace_period=1000)  # more than anybody waits for
else:
    nobody, stderr = os.pipe()
    os.dup2(stderr, 2)
if END == "interrupted":
    settings = Settings(grace_period=1000)
    threading.Thread(target=interrupt_thrice, daemon=True).start()
if END in ("told at the end", "interrupted"):
    logging.getLogger("lifecycle").addHandler(logging.NullHandler())
    logging.getLogger("lifecycle").propagate = False
lifecycle.run(shop, settings, backend=BACKEND)
