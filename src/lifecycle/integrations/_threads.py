"""Threads: a pool for the time of a ``with``, and calls that are waited for whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

T = TypeVar("T")


@contextlib.asynccontextmanager
async def thread_pool(workers: int, name: str) -> AsyncGenerator[ThreadPoolExecutor]:
    """Make threads, and wait at the end for those that work."""
    threads = ThreadPoolExecutor(workers, name)
    try:
        yield threads
    finally:
        await outlasted(threads.shutdown)


async def outlasted(call: Callable[[], T], limiter: anyio.CapacityLimiter | None = None) -> T:
    """Call something in a thread, and wait until it has ended, even if the task is cancelled.

    Also by its own ``cancel``, which pierces shields: what comes next would be done while the
    thread still works at what came before. The cancellation is raised when the call has ended.
    """
    job: Future[T] = Future()

    def work() -> None:
        if not job.set_running_or_notify_cancel():
            return
        try:
            job.set_result(call())
        except BaseException as error:  # noqa: BLE001  it is raised again where it is awaited
            job.set_exception(error)

    with anyio.CancelScope(shield=True):
        try:
            await anyio.to_thread.run_sync(work, limiter=limiter or anyio.CapacityLimiter(1))
        except anyio.get_cancelled_exc_class():
            if not job.cancel():  # it has begun
                await _ended(job)
            raise
    return job.result()


async def _ended(job: Future[T]) -> None:
    ending = asyncio.wrap_future(job)
    while not ending.done():
        with contextlib.suppress(asyncio.CancelledError):  # one is raised already
            await asyncio.wait([ending])
    ending.exception()  # nobody is there to be told
