"""One run of a worker, in a task that ends by being asked to, and is never cancelled.

A cancellation would have ``Worker.run`` return at once, and leave its activities behind.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING

import anyio

from lifecycle.integrations._beside import beside
from lifecycle.integrations._threads import outlasted
from lifecycle.integrations._untraced import untraced

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import temporalio.worker

    from lifecycle.integrations.temporal._activities import Activities

_logger = logging.getLogger(__name__)


class Working:
    """A worker that polls, until it has ended."""

    def __init__(
        self,
        make: Callable[..., temporalio.worker.Worker],
        activities: Activities,
        crashed: Callable[[BaseException], object],
        on_fatal_error: Callable[[BaseException], Awaitable[None]] | None,
    ) -> None:
        """Prepare it.

        Args:
            make: makes the worker; it is given what it is to tell of errors.
            activities: those that it runs.
            crashed: told why it has ended, where nobody had asked it to.
            on_fatal_error: likewise, the user's own.

        """
        self._make = make
        self._activities = activities
        self._crashed = crashed
        self._on_fatal_error = on_fatal_error
        self._is_asked = False
        self._has_failed = False
        self._worker: temporalio.worker.Worker | None = None

    @property
    def worker(self) -> temporalio.worker.Worker:
        """Temporal's own."""
        assert self._worker is not None  # noqa: S101  it was made before anything else is done
        return self._worker

    @contextlib.asynccontextmanager
    async def living(self, time_left: Callable[[], float]) -> AsyncGenerator[None]:
        """Poll; at the end every activity has ended, and its result was delivered.

        Args:
            time_left: how many seconds there are to stop, asked when that begins.

        """
        # In a thread, since by default it reads the code of all modules, for a second or two. It is
        # waited for also if this is cancelled: a client lets go only of workers that have run.
        make = functools.partial(self._make, on_fatal_error=self._failed)
        self._worker = await outlasted(make)
        async with beside(self._run, "lifecycle: temporal") as task:
            try:
                yield
            finally:
                if not task.forgo():
                    try:
                        await self._end(time_left())
                    except BaseException:
                        self._activities.cut()
                        raise

    async def shut_down(self) -> None:
        """Poll no more, finish the activities, and deliver their results."""
        self._is_asked = True
        await self.worker.shutdown()

    async def _end(self, time_left: float) -> None:
        with anyio.move_on_after(time_left / 2):
            await self.shut_down()
            return
        left = self._activities.cut()
        _logger.warning(
            "half of the time to stop is over: %d activities are cut off: %s",
            len(left),
            ", ".join(left),
        )
        await self.shut_down()

    async def _run(self) -> None:
        error: BaseException | None = None
        with anyio.CancelScope(shield=True), untraced():
            try:
                await self.worker.run()
            except Exception as raised:  # noqa: BLE001  raised in the task of the component
                error = raised
        if error is not None:
            self._tell(error)
        elif not self._is_asked:
            self._tell(RuntimeError("Temporal's worker has ended by itself"))

    async def _failed(self, error: BaseException) -> None:
        # Told at once: `run` raises only when all activities have ended.
        self._tell(error)
        if self._on_fatal_error is not None:
            await self._on_fatal_error(error)

    def _tell(self, error: BaseException) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        cause = error.__cause__
        if cause is not None:
            # Temporal says that its worker has failed, and not why.
            told = RuntimeError(f"{error}: {type(cause).__name__}: {cause}")
            told.__cause__ = cause
            error = told
        self._crashed(error)
