"""A system whose two ends are in different tasks.

An ``async with lifecycle.running(…)`` is entered and left by one task. Where somebody else decides
which task runs what, that cannot be had: each cell of a notebook is run by a task of its own, and
pytest-asyncio sets a fixture up in one and takes it down in another. ::

    stack = contextlib.AsyncExitStack()                                 # in one cell
    system = await stack.enter_async_context(apart(shop))

    await stack.aclose()                                                # in another

The system then lives in a task of its own, on the same event loop. The other end has to come before
that of the loop, which cancels all tasks there are, the system's own included, in no order.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import anyio

from lifecycle._engine.flag import Flag
from lifecycle._engine.system import System
from lifecycle._engine.threads import outlast
from lifecycle.embedded import running
from lifecycle.errors import add_note, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from lifecycle._core.plan import Plan
    from lifecycle._engine.companions import Companion
    from lifecycle.events import Observer
    from lifecycle.registry import Registry
    from lifecycle.settings import Settings

__all__ = ["Apart", "apart"]


def apart(
    registry: Registry | Plan,
    settings: Settings | None = None,
    *,
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
) -> Apart:
    """Run a system between two points in time, whichever tasks these are in; on asyncio.

    What runs between them is no work in flight of the system. When it shuts down by itself, that
    is what the second end finds: it raises whatever went wrong.

    Args:
        registry: what to run, or a plan of it.
        settings: the numbers; by default ``Settings()``.
        companions: what accompanies it, as for :func:`lifecycle.running`.
        observers: what is told every event.

    Raises:
        DefinitionError: at once, what was declared, or a setting, cannot work.

    """
    return Apart(running(registry, settings, companions=companions, observers=observers))


class Apart(AbstractAsyncContextManager[System]):
    """An async context manager that may be left by another task than it was entered by."""

    def __init__(self, runs: AbstractAsyncContextManager[System, None]) -> None:
        """Made by :func:`apart`."""
        self._runs = runs
        self._is_to_end = Flag()
        self._up = anyio.Event()
        self._over = anyio.Event()
        self._system: System | None = None
        self._task: asyncio.Task[None] | None = None
        self._interrupt: BaseException | None = None

    async def __aenter__(self) -> System:
        """Start everything.

        Raises:
            RunError: something did not start.
            RuntimeError: there is no asyncio here, or it was entered before.

        """
        if self._task is not None:
            message = "this system was entered before; each `apart(…)` runs one once"
            raise RuntimeError(message)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            message = (
                "on trio there is no task without a nursery: run the system in one of yours, by "
                "`lifecycle.running(…)`"
            )
            raise RuntimeError(message) from None
        # The one task that belongs to no group: it is waited for at the other end.
        self._task = loop.create_task(self._run(), name="lifecycle: apart")
        try:
            await self._up.wait()
        except BaseException as error:
            self._task.cancel()
            await self._end(error)
            raise
        if self._system is None:
            if self._interrupt is not None:
                raise self._interrupt
            self._task.result()
        assert self._system is not None  # noqa: S101  else that has raised
        return self._system

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut down, if that has not happened, and wait until everything has ended.

        Raises:
            RunError: the first cause of what went wrong, unless there is an error already.
            RuntimeError: it was not entered.

        """
        if self._task is None:
            message = "this system was not entered, and cannot be left"
            raise RuntimeError(message)
        self._is_to_end.set()
        await self._end(error)

    async def _run(self) -> None:
        try:
            async with self._runs as self._system:
                self._up.set()
                with self._is_to_end.cutting_short():
                    await self._system.closed()
        except (KeyboardInterrupt, SystemExit) as interrupt:
            # For whom this is left to: in a task it would end the event loop, which is not ours.
            self._interrupt = interrupt
        finally:
            self._up.set()
            self._over.set()

    async def _end(self, error: BaseException | None) -> None:
        """Wait for the end of the task; what it raised is raised here, or noted at `error`."""
        assert self._task is not None  # noqa: S101  it was entered
        with anyio.CancelScope(shield=True):
            await outlast(self._over)
            await asyncio.wait([self._task])  # its last step is yet to be made
        failure = self._interrupt
        if failure is None and not self._task.cancelled():
            failure = self._task.exception()
        if failure is None:
            return
        if error is None:
            raise failure
        add_note(error, f"also: {one_line(failure)}")
