"""asyncio in virtual time.

An event loop that keeps its timers itself, and whose selector, asked to sleep until something
happens, lets time jump instead. All of it is what asyncio documents for those who write loops:
`time`, `call_at`, `call_soon`, `create_task`, `run_in_executor`, and the selector that is given.

The timers are not asyncio's own since these are due a clock's resolution too early, and never, once
the resolution is less than a float can tell apart: after 194 virtual days.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import heapq
import itertools
import math
import selectors
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs
from typing_extensions import TypeVarTuple, Unpack

from lifecycle.testing import _stacks
from lifecycle.testing._tasks import Tasks, is_task
from lifecycle.testing._workers import ORIGIN, Origin, put_into

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.testing._interleaving import Interleaving
    from lifecycle.testing._timeline import Timeline

    Ready = list[tuple[selectors.SelectorKey, int]]


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@attrs.define(order=False)
class _Timer:
    handle: asyncio.TimerHandle
    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: contextvars.Context

    def ring(self) -> None:
        """Call it, unless it was cancelled after it was due."""
        if not self.handle.cancelled():
            self.callback(*self.args)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to what is due next when there is nothing else to do."""

    def __init__(self, timeline: Timeline, interleaving: Interleaving) -> None:
        """Begin at 0."""
        self.timeline = timeline
        self._interleaving = interleaving
        self._timers: list[tuple[float, float, int, _Timer]] = []
        self._count = itertools.count()
        self._tidy_at = 100
        self._tasks = Tasks(timeline)
        timeline.begin(self._wake)
        timeline.workers.pool = self._tasks
        super().__init__(_Selector(self, timeline))

    # --- time ----------------------------------------------------------------------------------

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self.timeline.now

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call a function at a time; those of one instant in the order in which they came."""
        if self.is_closed():
            message = "Event loop is closed"
            raise RuntimeError(message)
        context = contextvars.copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        timer = _Timer(handle, callback, args, context)
        heapq.heappush(self._timers, (when, self._interleaving.tie(), next(self._count), timer))
        self._tidy()
        return handle

    def ring(self) -> bool:
        """Call what is due, soon.

        Returns:
            Whether anything was.

        """
        rang = False
        while self._timers and self._timers[0][0] <= self.timeline.now:
            timer = heapq.heappop(self._timers)[-1]
            if not timer.handle.cancelled():
                super().call_soon(timer.ring, context=timer.context)
                rang = True
        return rang

    def next_due(self) -> float:
        """When the next timer is due; infinity: there is none."""
        while self._timers and self._timers[0][-1].handle.cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else math.inf

    def _tidy(self) -> None:
        # Most timers are timeouts, and cancelled long before they are due.
        if len(self._timers) > self._tidy_at:
            self._timers = [one for one in self._timers if not one[-1].handle.cancelled()]
            heapq.heapify(self._timers)
            self._tidy_at = 2 * len(self._timers) + 100

    # --- tasks ---------------------------------------------------------------------------------

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Call a function in the next turn; the step of a task may come later, by the seed."""
        task = cast("object", getattr(callback, "__self__", None))
        if is_task(task) and _is_a_step(callback):
            self._tasks.will_step(task, context)
            turns = self._interleaving.delay()
            if turns and context is not None:  # a task has one
                step = functools.partial(callback, *args)
                return super().call_soon(self._later, turns, step, context, context=context)
        return super().call_soon(callback, *args, context=context)

    def _later(self, turns: int, step: Callable[[], object], context: contextvars.Context) -> None:
        if turns > 1:
            super().call_soon(self._later, turns - 1, step, context, context=context)
        else:
            step()

    def create_task(self, coro: Any, **options: Any) -> Any:
        """Make a task, with a context that tells whose threads are its own."""
        origin = Origin(self.timeline)
        context = options.get("context")
        within = contextvars.copy_context() if context is None else context
        put_into(within, origin)
        if context is None:
            task = within.run(functools.partial(super().create_task, coro, **options))
        else:
            task = super().create_task(coro, **options)
        self._tasks.add(task, origin)
        return task

    def waits(self) -> list[_stacks.Wait]:
        """Who waits where."""
        return [_stacks.wait(task.get_name(), task.get_coro()) for task in self._tasks]

    # --- threads -------------------------------------------------------------------------------

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Call a function soon, from any thread."""
        if self._tasks.is_here():
            return super().call_soon_threadsafe(callback, *args, context=context)
        asked = self._tasks.for_a_thread(callback)
        return super().call_soon_threadsafe(asked, *args, context=context)

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[Unpack[Ts]], T],
        *args: Unpack[Ts],
    ) -> asyncio.Future[T]:
        """Let a function work in a thread, or a process; time stands still meanwhile."""
        origin = Origin(self.timeline)
        if executor is None or type(executor) is concurrent.futures.ThreadPoolExecutor:
            call = _on_behalf_of(origin, func)
        else:
            call = func  # it may have to be pickled
        working = contextlib.ExitStack()
        name = getattr(func, "__qualname__", None) or "a function in an executor"
        working.enter_context(self.timeline.workers.working(name, origin))
        try:
            future = super().run_in_executor(executor, call, *args)
        except BaseException:
            working.close()
            raise
        future.add_done_callback(lambda _: working.close())
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads of the executor; that takes real time."""
        with self.timeline.hold("the threads of the default executor, which end"):
            await super().shutdown_default_executor(*args)

    def close(self) -> None:
        """Close, and let go of time."""
        super().close()
        self._timers.clear()
        self.timeline.end()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # it was closed meanwhile
            super().call_soon_threadsafe(_do_nothing)


class _Selector(selectors.DefaultSelector):
    """Waits for I/O where that is all there is to wait for, and else lets time jump."""

    def __init__(self, loop: VirtualLoop, timeline: Timeline) -> None:
        super().__init__()
        self._loop = loop
        self.timeline = timeline

    def select(self, timeout: float | None = None) -> Ready:
        """Give what is ready; with None nothing can run before something is."""
        if self._loop.ring() or timeout is not None:
            return self._stalled() if self.timeline.goes_round() else super().select(0)
        self.timeline.rest()
        held = self.timeline.is_held
        ready = super().select(0)
        if ready:
            return ready
        if held:
            return super().select(self.timeline.patience) or self._stalled()
        if self.timeline.move(self._loop.next_due()):
            self._loop.ring()
            return []
        if self.timeline.is_spent:
            return self._stalled()
        is_alone = self.timeline.is_alone and len(self.get_map()) == 1  # that is the loop's own
        return (not is_alone and super().select(self.timeline.patience)) or self._stalled()

    def _stalled(self) -> Ready:
        give_up = self.timeline.stall(self._loop.waits())
        if give_up is None:
            assert self.timeline.stalled is not None  # noqa: S101  that is what `stall` does
            raise self.timeline.stalled
        self._loop.call_soon(give_up)
        return []


def _is_a_step(callback: Callable[..., object]) -> bool:
    """Whether this is a task that goes on, and not one of its public methods."""
    return not hasattr(asyncio.Task, getattr(callback, "__name__", ""))


def _on_behalf_of(origin: Origin, func: Callable[[Unpack[Ts]], T]) -> Callable[[Unpack[Ts]], T]:
    """Let a thread that calls a function work for this origin."""

    @functools.wraps(func)
    def call(*args: Unpack[Ts]) -> T:
        token = ORIGIN.set(origin)
        try:
            return func(*args)
        finally:
            ORIGIN.reset(token)

    return call


def _do_nothing() -> None:
    pass
