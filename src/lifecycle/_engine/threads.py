"""The thread of a sync component.

Each sync component has a thread and a context of its own from start to stop: what sqlite3 and
others open in one thread is closed in the same, and forty stuck threads cannot keep the forty-first
component from stopping, as they would in a pool.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._engine.instruments import Instruments
    from lifecycle._engine.loop import Loop


class _Job:
    """One call, and what came of it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.done = anyio.Event()
        self.result: Any = None
        self.error: BaseException | None = None


class Thread:
    """A thread that makes one call after the other. It begins with the first."""

    def __init__(self, name: str, loop: Loop, instruments: Instruments) -> None:
        """Prepare a thread; `name` is that of the component."""
        self._name = name
        self._loop = loop
        self._instruments = instruments
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._context = contextvars.copy_context()
        self._context.run(_forget_the_loop)
        self.busy = False

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in it."""
        return threading.current_thread() is self._thread

    @property
    def frame(self) -> Any:
        """Where it is, while it is in a call."""
        if self._thread is None or not self.busy:
            return None
        frames = sys._current_frames()  # noqa: SLF001  documented  # pyright: ignore[reportPrivateUsage]
        return frames.get(self._thread.ident or 0)

    async def call(self, function: Callable[[], Any], *, abandon: bool = False) -> Any:
        """Make a call in the thread, and wait for it, whatever is cancelled meanwhile.

        A thread cannot be interrupted. Who cannot wait for it abandons the whole component, or,
        with `abandon`, the call.
        """
        if self._thread is None:
            # A daemon: an abandoned one does not keep the interpreter from exiting.
            self._thread = threading.Thread(
                target=self._run, name=f"lifecycle {self._name}", daemon=True
            )
            self._thread.start()
        job = _Job(function)
        before = self._take_over(contextvars.copy_context())
        self.busy = True
        with self._instruments.working(self._name):
            self._jobs.put(job)
            if abandon:
                await job.done.wait()
            else:
                with anyio.CancelScope(shield=True):
                    await outlast(job.done)
        self.busy = False
        for variable, value in self._context.items():
            if variable is not _the_loop() and before.get(variable, before) is not value:
                variable.set(value)
        if job.error is not None:
            raise job.error
        return job.result

    def end(self) -> None:
        """Let the thread end once it has nothing more to do."""
        self._jobs.put(None)

    def _take_over(self, context: contextvars.Context) -> dict[contextvars.ContextVar[Any], Any]:
        """Carry what was set on the event loop over into the thread's context."""

        def set_all() -> None:
            for variable, value in context.items():
                if variable is not _the_loop() and variable.get(None) is not value:
                    variable.set(value)

        self._context.run(set_all)
        return dict(self._context.items())

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.result = self._context.run(job.function)
            except BaseException as error:  # noqa: BLE001  it is raised again where it is awaited
                job.error = error
            self._loop.call_soon(job.done.set)
            del job


async def outlast(event: anyio.Event) -> None:
    """Wait for an event in a shielded scope, even if the task is cancelled by its own `cancel`.

    A native cancellation pierces shields. It is raised when the event has come.
    """
    cancelled: BaseException | None = None
    while not event.is_set():
        try:
            await event.wait()
        except anyio.get_cancelled_exc_class() as error:  # noqa: PERF203  that is the point
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _the_loop() -> contextvars.ContextVar[Any] | None:
    """The variable in which sniffio notes which event loop runs: none does in the thread."""
    sniffio = sys.modules.get("sniffio")
    return None if sniffio is None else sniffio.current_async_library_cvar


def _forget_the_loop() -> None:
    variable = _the_loop()
    if variable is not None:
        variable.set(None)
