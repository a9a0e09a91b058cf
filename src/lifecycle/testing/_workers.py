"""The threads that time has to wait for, since an event loop that waits for one looks idle.

A thread works *for* someone: for the task that waits for it, or for one call of an executor. That
origin is known on both sides: the event loop finds who waits for a thread, and the thread has a
context variable, since contexts are copied into threads. So a thread that says that it is blocked
is told from the others, and one that nobody waits for any more holds nothing.
"""

from __future__ import annotations

import collections
import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from lifecycle.instruments import HookCall, Instrument

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Hashable, Iterable, Iterator
    from contextvars import Context

    from lifecycle.testing._timeline import Timeline


@attrs.define(eq=False)
class Origin:
    """For whom a thread works; compared by identity."""

    timeline: Timeline
    """The time that is held by it."""
    is_taken: bool = False
    """Whether a task has it."""
    thread: Hashable = None
    """In which thread the task calls a hook; equal for all calls in the same one. None: that is not
    known."""


ORIGIN: ContextVar[Origin | None] = ContextVar("lifecycle_testing_origin", default=None)
"""In the context of each task, and of each thread that works for it."""


def put_into(context: Context, origin: Origin) -> None:
    """Let threads that are started in a context work for this origin."""
    with contextlib.suppress(RuntimeError):  # it is entered: the context is shared with a task
        context.run(ORIGIN.set, origin)


@attrs.frozen(eq=False)
class _Job:
    what: str
    origins: tuple[Origin | None, ...]
    thread: Hashable


class Pool(Protocol):
    """What an event loop knows of the threads that its tasks use."""

    def waited_for(self) -> Iterable[Origin]:
        """The tasks that wait for a thread."""
        ...

    def asks(self, origin: Origin) -> bool:
        """Whether a thread that works for this origin waits for a task in turn."""
        ...


class Workers:
    """Who works, and who says that he only waits."""

    def __init__(self, changed: Callable[[], object]) -> None:
        """Nobody works.

        Args:
            changed: called, in any thread, when time may have been let go.

        """
        self.pool: Pool | None = None
        """That of the event loop which runs."""
        self._changed = changed
        self._jobs: dict[_Job, None] = {}
        """In the order in which they came."""
        self._blocked: collections.Counter[Origin] = collections.Counter()

    @contextlib.contextmanager
    def working(self, what: str, *origins: Origin, thread: Hashable = None) -> Generator[None]:
        """A thread works; where it is known which, once it has done what it was given before.

        On the event loop.
        """
        job = _Job(what, (ORIGIN.get(), *origins), thread)
        self._jobs[job] = None
        try:
            yield
        finally:
            del self._jobs[job]

    @contextlib.contextmanager
    def blocked(self) -> Generator[None]:
        """The thread that calls this does not work meanwhile."""
        origin = ORIGIN.get()
        if origin is None:  # nobody's: it holds nothing
            yield
            return
        self._blocked[origin] += 1
        self._changed()
        try:
            yield
        finally:
            self._blocked[origin] -= 1
            if not self._blocked[origin]:
                del self._blocked[origin]

    def is_blocked(self, origin: Origin | None) -> bool:
        """Whether a thread that works for this origin says that it is blocked."""
        return origin in self._blocked

    def any_at_work(self) -> bool:
        """Whether any thread works."""
        return bool(self.at_work())

    def at_work(self) -> list[str]:
        """What works, for a person."""
        return sorted(
            what for what, origins in self._all() if not any(map(self.is_blocked, origins))
        )

    def any_may_go_on(self) -> bool:
        """Whether any thread works, or may do so at any moment, since it is just blocked."""
        return any(True for _ in self._all())

    def _all(self) -> Iterator[tuple[str, tuple[Origin | None, ...]]]:
        """All but those that wait for something which the event loop does for them."""
        pool = self.pool
        # Of those in one thread only the first is at work: where that is blocked, all are.
        first = {job if job.thread is None else job.thread: job for job in reversed(self._jobs)}
        found = [(job.what, job.origins) for job in first.values()]
        if pool is not None:
            found += [("a worker thread", (origin,)) for origin in pool.waited_for()]
        for what, origins in found:
            if pool is None or not any(origin and pool.asks(origin) for origin in origins):
                yield what, origins


class HoldTime(Instrument):
    """Lets the threads of components hold time, where it is virtual."""

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Note in which thread it is called."""
        origin = ORIGIN.get()
        if origin is None:
            return await proceed()
        outer, origin.thread = origin.thread, call.in_thread
        try:
            return await proceed()
        finally:
            origin.thread = outer

    def working(self, component: str) -> contextlib.AbstractContextManager[object]:
        """Be entered while sync code of a component works."""
        origin = ORIGIN.get()
        if origin is None:
            return contextlib.nullcontext()
        what = f"the thread of '{component}'"
        return origin.timeline.workers.working(what, thread=origin.thread)

    def waiting(self) -> contextlib.AbstractContextManager[object]:
        """Be entered while a thread waits at a gate: only time may bring what opens it."""
        origin = ORIGIN.get()
        return contextlib.nullcontext() if origin is None else origin.timeline.workers.blocked()
