"""The example, with a part that can be told to crash, to hang, or to hang in C."""

from __future__ import annotations

import ctypes
import importlib
import signal
import sys
import time
from pathlib import Path

import anyio

import lifecycle
from lifecycle import Lifetime, Registry

CRASH, HANG, HANG_IN_C = signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "shop"))
shop: Registry = importlib.import_module("web").shop


def hang() -> None:
    time.sleep(3600)  # blocks on purpose: a stuck driver


def hang_in_c() -> None:
    """Wait for a lock of one's own, and let no other thread run meanwhile, nor signal handler."""
    library, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


class TroubleError(Exception):
    """What it crashes of."""


@shop.service
async def trouble(life: Lifetime) -> None:
    """Wait for what is wanted."""
    with anyio.open_signal_receiver(CRASH, HANG, HANG_IN_C) as wanted:
        life.started()
        async for number in life.until_draining(wanted):
            if number == CRASH:
                raise TroubleError("a part has crashed")
            hang() if number == HANG else hang_in_c()


lifecycle.run(shop)
