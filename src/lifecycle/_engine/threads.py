"""The thread of a sync component.

Each sync component has a thread and a context of its own from start to stop: what sqlite3 and
others open in one thread is closed in the same, and forty stuck threads cannot keep the forty-first
component from stopping, as they would in a pool.

Nobody but the thread enters its context: while it is in a call, say of a check, none other can.
What is set is handed over in copies, to the thread with the call, and back with the result.
"""

from __future__ import annotations

import contextlib
import contextvars
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    _Tokens: TypeAlias = dict[contextvars.ContextVar[Any], contextvars.Token[Any]]

    from lifecycle._engine.instruments import Instruments
    from lifecycle._engine.loop import Loop


class _Job:
    """One call, and what came of it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.caller = contextvars.copy_context()
        """The context of who calls."""
        self.before = self.after = self.caller
        """That of the thread, before the call and after it."""
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
        self._taken: _Tokens = {}
        """Of what was not set in the thread's context before it was taken over."""
        self._given: _Tokens = {}
        """Likewise of what was given back to the event loop."""
        self._is_busy = False

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in it."""
        return threading.current_thread() is self._thread

    @property
    def frame(self) -> Any:
        """Where it is, while it is in a call."""
        if self._thread is None or not self._is_busy:
            return None
        frames = sys._current_frames()  # noqa: SLF001  documented  # pyright: ignore[reportPrivateUsage]
        return frames.get(self._thread.ident or 0)

    async def call(self, function: Callable[[], Any], *, abandon: bool = False) -> Any:
        """Make a call in the thread, and wait for it, whatever is cancelled meanwhile.

        A thread cannot be interrupted. Who cannot wait for it abandons the whole component, or,
        with `abandon`, the call.
        """
        if self._thread is None:
            self._thread = self._begin()
        job = _Job(function)
        with self._instruments.working(self._name):
            self._jobs.put(job)
            if abandon:
                await job.done.wait()
            else:
                with anyio.CancelScope(shield=True):
                    await outlast(job.done)
        _follow(job.after, job.before, self._given)
        if job.error is not None:
            raise job.error
        return job.result

    def end(self) -> None:
        """Let the thread end once it has nothing more to do."""
        self._jobs.put(None)

    def _begin(self) -> threading.Thread:
        """Start it; where the system has no thread to give, the next call tries again."""
        thread = threading.Thread(
            target=contextvars.Context().run,  # all that is in it is taken over
            args=(self._run,),
            name=f"lifecycle {self._name}",
            daemon=True,  # an abandoned one does not keep the interpreter from exiting
        )
        thread.start()
        return thread

    def _run(self) -> None:
        _forget_the_loop()
        while (job := self._jobs.get()) is not None:
            self._is_busy = True
            _follow(job.caller, contextvars.Context(), self._taken)
            job.before = contextvars.copy_context()
            try:
                job.result = job.function()
            except BaseException as error:  # noqa: BLE001  it is raised again where it is awaited
                job.error = error
            job.after = contextvars.copy_context()
            self._is_busy = False
            self._loop.call_soon(job.done.set)
            del job


def _follow(new: contextvars.Context, before: contextvars.Context, tokens: _Tokens) -> None:
    """Set, in the context that is in force, what is in a new one and was not there before.

    What is not there any more is unset; that takes the token with which it was set.
    """
    for variable, value in new.items():
        is_new = before.get(variable, _UNSET) is not value
        if is_new and variable is not _the_loop() and variable.get(_UNSET) is not value:
            token = variable.set(value)
            if token.old_value is contextvars.Token.MISSING:
                tokens[variable] = token
    for variable in [variable for variable in tokens if variable not in new]:
        with contextlib.suppress(ValueError):  # it was set in another context: of a check, say
            variable.reset(tokens.pop(variable))


_UNSET: Any = object()


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
