"""A pool of threads for the time of a ``with``."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@contextlib.asynccontextmanager
async def thread_pool(workers: int, name: str) -> AsyncGenerator[ThreadPoolExecutor]:
    """Make threads, and wait at the end for those that work."""
    threads = ThreadPoolExecutor(workers, name)
    try:
        yield threads
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(threads.shutdown, limiter=anyio.CapacityLimiter(1))
