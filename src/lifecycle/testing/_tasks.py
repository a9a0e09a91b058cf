"""asyncio's tasks: who of them waits for a thread, and which threads wait for one of them."""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from typing_extensions import TypeIs, TypeVarTuple, Unpack

from lifecycle.testing import _stacks
from lifecycle.testing._workers import ORIGIN, Origin, put_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Context

    from lifecycle.testing._timeline import Timeline

    Task = asyncio.Task[Any]

Ts = TypeVarTuple("Ts")

_TO_THREAD = anyio.to_thread.run_sync.__code__


class Tasks:
    """The tasks of one loop."""

    def __init__(self, timeline: Timeline) -> None:
        """Be made on the thread of the loop."""
        self._timeline = timeline
        self._thread = threading.get_ident()
        self._origins: weakref.WeakKeyDictionary[Task, Origin] = weakref.WeakKeyDictionary()
        self._stepped: set[Task] = set()
        self._in_thread: set[Task] = set()
        self._asked: dict[Origin, list[Task]] = {}
        self._is_asked = False

    def __iter__(self) -> Iterator[Task]:
        """Those that are not done, in the order in which they began."""
        return (task for task in list(self._origins) if not task.done())

    def is_here(self) -> bool:
        """Whether the caller is on the thread of the loop."""
        return threading.get_ident() == self._thread

    def add(self, task: Task, origin: Origin) -> None:
        """Note for whom threads work that this task starts."""
        origin.is_taken = True
        self._origins[task] = origin
        self._stepped.add(task)  # an eager one has run already
        client = ORIGIN.get()
        if self._is_asked and client is not None:
            self._asked.setdefault(client, []).append(task)

    def will_step(self, task: Task, context: Context | None) -> None:
        """It runs in the next turn, and may wait for something else afterwards."""
        origin = self._origins.get(task)
        if origin is None:
            self._adopt(task)
        elif self._timeline.workers.is_blocked(origin) and context is not None:
            # It waits no longer for that thread; another one must not be taken for it.
            self._origins[task] = new = Origin(self._timeline, is_taken=True)
            put_into(context, new)
        self._stepped.add(task)

    def _adopt(self, task: Task) -> None:
        """Take one that is just being made: by the loop, or, where tasks are eager, by anyio."""
        origin: Origin | None = None
        if sys.version_info >= (3, 12):  # the first with eager tasks
            origin = task.get_context().get(ORIGIN)
        if origin is None or origin.is_taken:
            origin = Origin(self._timeline)
            if sys.version_info >= (3, 12):
                put_into(task.get_context(), origin)
        origin.is_taken = True
        self._origins[task] = origin

    # --- threads -------------------------------------------------------------------------------

    def for_a_thread(
        self, callback: Callable[[Unpack[Ts]], object]
    ) -> Callable[[Unpack[Ts]], object]:
        """What a thread asks the loop to do: tasks that it makes are made for that thread."""

        def asked(*args: Unpack[Ts]) -> None:
            self._is_asked = True
            try:
                callback(*args)
            finally:
                self._is_asked = False

        return asked

    def waited_for(self) -> list[Origin]:
        """Those that wait for a thread of anyio's."""
        if threading.active_count() == 1:
            self._in_thread.clear()
        else:
            self._in_thread.difference_update(self._stepped)
            self._in_thread.update(filter(_waits_for_thread, self._stepped))
        self._stepped.clear()
        return [self._origins[task] for task in self._in_thread]

    def asks(self, origin: Origin) -> bool:
        """Whether a thread has asked for a task that is not done.

        It is taken to wait for it: nothing tells the moment in which it begins to.
        """
        asked = [task for task in self._asked.pop(origin, ()) if not task.done()]
        if asked:
            self._asked[origin] = asked
        return bool(asked)


def is_task(thing: object) -> TypeIs[Task]:
    """Whether this is a task of asyncio's."""
    return isinstance(thing, asyncio.Task)


def _waits_for_thread(task: Task) -> bool:
    """Whether the thread is all that `to_thread.run_sync` still waits for, not its limiter."""
    if task.done():
        return False
    found = _stacks.frames(task.get_coro())
    return len(found) > 1 and found[-2].f_code is _TO_THREAD
