"""The event loop that a system runs on, and the one task that does what is due on it.

anyio has no public way to get onto the loop from a thread or a signal handler without waiting, nor
one to tell the time there. Both are taken from asyncio and trio here, and nowhere else.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import math
import signal
import socket
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING

import anyio

from lifecycle._engine.bell import FutureBell

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Generator

    from lifecycle._engine.bell import Bell


def in_trio() -> bool:
    """Whether the running event loop is trio's."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


class Loop:
    """The running event loop: its clock, and a way onto it from anywhere."""

    def __init__(self) -> None:
        """Take the loop that runs now."""
        self.thread = threading.get_ident()
        self.now: Callable[[], float]
        """The time, in seconds, on the loop's clock; may be asked from any thread."""
        self.current_task: Callable[[], object]
        """The task that runs now; raises RuntimeError, or gives None, where none does. To be asked
        on the thread of the loop."""
        self._call_soon: Callable[[Callable[[], object]], object]
        self.new_bell: Callable[[], Bell]
        """Makes what wakes one task, once."""
        self.new_scope: type[anyio.CancelScope] = type(anyio.CancelScope())
        """The class of the scopes here: anyio's own looks for it each time, which takes longer than
        all the rest, and there is one for each component, and each piece of work."""
        self.cancelled = anyio.get_cancelled_exc_class()
        """The class of the cancellations here: threads, and bare callbacks, cannot look for it."""
        if in_trio():
            import trio  # noqa: PLC0415  an extra; it runs, so it is there

            self.now = trio.lowlevel.current_clock().current_time
            self.current_task = trio.lowlevel.current_task
            self._call_soon = trio.lowlevel.current_trio_token().run_sync_soon
            self.new_bell = type(anyio.Event())
        else:
            import asyncio  # noqa: PLC0415  not needed, and slow to import, for those on trio

            loop = asyncio.get_running_loop()
            self.now = loop.time
            self.current_task = functools.partial(asyncio.current_task, loop)
            self._call_soon = loop.call_soon_threadsafe
            self.new_bell = functools.partial(FutureBell, loop.create_future)

    def on_its_thread(self) -> bool:
        """Whether the caller runs on the thread of the loop."""
        return threading.get_ident() == self.thread

    def refuse_others(self) -> None:
        """Refuse who would wait on another event loop: nothing there would ever wake it.

        Raises:
            RuntimeError: the caller does not run on the thread of this loop.

        """
        if not self.on_its_thread():
            message = (
                "the system runs on another event loop, which cannot wake who awaits it on this "
                "one: await it there; what is not async may be called from any thread"
            )
            raise RuntimeError(message)

    def in_task(self) -> bool:
        """Whether the caller runs in a task of the loop, and not in a bare callback."""
        try:
            return self.current_task() is not None
        except RuntimeError:  # trio has no other way to say so
            return False

    def call_soon(self, function: Callable[[], object]) -> bool:
        """Call a function on the loop, from any thread or signal handler.

        Returns:
            False where the loop is over, and nothing happens.

        """
        try:
            self._call_soon(function)
        except (RuntimeError, OSError):  # asyncio's; trio's RunFinishedError, or its closed socket
            return False
        return True


@contextlib.contextmanager
def woken_by_signals() -> Generator[None]:
    """Let signals wake the event loop that runs now, so that their handlers are called.

    Python calls handlers in the main thread only, and that may be asleep in the event loop: where
    another thread took the signal, or where it came in the instant before the sleep. trio and
    uvloop see to this themselves; asyncio does for its own signal handlers only.
    """
    if in_trio() or threading.current_thread() is not threading.main_thread():
        yield
        return
    import asyncio  # noqa: PLC0415  it runs, so it is there

    loop = asyncio.get_running_loop()
    waker = _wakers.get(loop)
    if waker is None:
        waker = _wakers[loop] = _Waker(loop)
    waker.users += 1
    try:
        yield
    finally:
        waker.users -= 1
        if not waker.users:
            del _wakers[loop]
            waker.end()


def give_wakeup_fd_back(ours: socket.socket, before: int) -> None:
    """Put the descriptor that signals woke before back in place of ours.

    Where somebody has put his own there meanwhile, it stays.
    """
    now = signal.set_wakeup_fd(-1)
    with contextlib.suppress(OSError, ValueError):  # who was there is gone
        signal.set_wakeup_fd(before if now == ours.fileno() else now)


class _Waker:
    """What wakes one loop of asyncio, for as long as anybody wants it woken."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.users = 0
        self._loop = loop
        self._ours, self._pythons = socket.socketpair()
        self._ours.setblocking(False)  # noqa: FBT003
        self._pythons.setblocking(False)  # noqa: FBT003
        before = signal.set_wakeup_fd(self._pythons.fileno(), warn_on_full_buffer=False)
        self._is_used = before == -1
        if self._is_used:
            loop.add_reader(self._ours, self._ours.recv, 4096)
        else:
            signal.set_wakeup_fd(before)  # somebody does it already

    def end(self) -> None:
        """Let signals wake it no longer."""
        if self._is_used:
            give_wakeup_fd_back(self._pythons, -1)
            self._loop.remove_reader(self._ours)
        self._ours.close()
        self._pythons.close()


# The file descriptor that signals wake belongs to the process: of several that want a loop woken,
# who ends first must not take it from the others.
_wakers: dict[AbstractEventLoop, _Waker] = {}


class Alarm:
    """Something that is to be done at a certain time, unless it is cancelled before."""

    __slots__ = ("_new", "action", "number", "time")

    def __init__(
        self, time: float, number: int, action: Callable[[], object], new: dict[int, Alarm]
    ) -> None:
        """Note what is to be done, and when, on the loop's clock; it is one of the new ones."""
        self.time = time
        self.number = number
        self.action: Callable[[], object] | None = action
        self._new = new

    def cancel(self) -> None:
        """Forget it."""
        self.action = None
        self._new.pop(self.number, None)


class Keeper:
    """The task that rings the alarms, and does what threads and signal handlers ask for.

    Whatever it is given runs in this task, one thing after the other: nothing of the engine ever
    runs on another thread, or in a signal handler. Who is on the loop's thread, be it in a bare
    callback, need not ask for it.
    """

    def __init__(self, loop: Loop) -> None:
        """Keep the time of a loop."""
        self._loop = loop
        self._new: dict[int, Alarm] = {}
        """Those that were set since the keeper last woke. Most are cancelled soon, and leave
        nothing behind: they never get onto the heap."""
        self._heap: list[tuple[float, int, Alarm]] = []
        self._count = itertools.count()
        self._posts: deque[Callable[[], object]] = deque()
        self._woken = loop.new_bell()
        self._sleep = loop.new_scope()
        self._over = False
        self._finished = False
        self.on_fault: Callable[[Exception], object] | None = None
        """Told what an action raised: that is a fault of ours, and must not end the keeper."""

    def at(self, time: float, action: Callable[[], object]) -> Alarm:
        """Do something at a time. To be called on the loop."""
        number = next(self._count)
        alarm = Alarm(time, number, action, self._new)
        if time < math.inf:
            self._new[number] = alarm
            if time < self._sleep.deadline:  # noqa: PLR1730  setting it costs, and most are later
                self._sleep.deadline = time
        return alarm

    def post(self, action: Callable[[], object]) -> bool:
        """Do something soon. May be called from any thread, and from signal handlers.

        Returns:
            False where it is over, and nothing is done any more.

        """
        self._posts.append(action)
        if self._finished or not self._loop.call_soon(self._wake):
            with contextlib.suppress(ValueError):  # it was still done, at the very end
                self._posts.remove(action)
                return False
        return True

    def do_posted(self) -> None:
        """Do what was asked for so far, in order."""
        while self._posts:
            try:
                action = self._posts.popleft()
            except IndexError:  # another thread was faster
                return
            self._do(action)

    def end(self) -> None:
        """Let `run` return."""
        self._over = True
        self._wake()

    async def run(self) -> None:
        """Ring until the end. To be run shielded."""
        while not self._over:
            self._do_what_is_due()
            self._woken = self._loop.new_bell()
            # A native cancellation (asyncio's teardown cancels every task) must not end it: it
            # is what bounds the cleanup that goes on.
            with (
                contextlib.suppress(anyio.get_cancelled_exc_class()),
                self._loop.new_scope(deadline=self._next()) as self._sleep,
            ):
                await self._woken.wait()
        self._finished = True
        self.do_posted()

    def _wake(self) -> None:
        self._woken.set()

    def _next(self) -> float:
        """When there is something to do."""
        return -math.inf if self._posts or self._over else self._next_alarm()

    def _next_alarm(self) -> float:
        for alarm in self._new.values():
            heapq.heappush(self._heap, (alarm.time, alarm.number, alarm))
        self._new.clear()
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def _do_what_is_due(self) -> None:
        self.do_posted()
        now = self._loop.now()
        while self._next_alarm() <= now:
            alarm = heapq.heappop(self._heap)[2]
            action, alarm.action = alarm.action, None
            if action is not None:
                self._do(action)

    def _do(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as fault:
            if self.on_fault is None:
                raise
            self.on_fault(fault)
