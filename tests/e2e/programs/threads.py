"""A thread of the program's own, which outlives the run."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import lifecycle
from lifecycle import Registry, Settings
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
MODE = sys.argv[2]
GRACE = 5
shop = Registry("shop")
enough = threading.Event()


def block() -> None:
    """Work for much longer than there is time."""
    enough.wait(100)


@shop.component
async def client() -> AsyncIterator[None]:
    """Starts the thread, and does not end it."""
    if MODE == "executor":
        ThreadPoolExecutor().submit(block)
    else:
        threading.Thread(target=block).start()
    say("ready")
    yield


lifecycle.run(shop, Settings(grace_period=GRACE), backend=BACKEND)
say("run returned")
if MODE == "goes on":
    time.sleep(GRACE + 2)  # blocks on purpose: the grace period must not end it
    say("still here")
    enough.set()
