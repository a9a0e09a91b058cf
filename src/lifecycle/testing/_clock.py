"""The clock that tests hold in their hands."""

from __future__ import annotations

import asyncio
import math
import sys
from typing import TYPE_CHECKING

from lifecycle.testing._timeline import Timeline
from lifecycle.testing._workers import ORIGIN

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class FakeClock:
    """Virtual time, from inside and outside of the event loop that runs on it."""

    def __init__(self, timeline: Timeline | None = None) -> None:
        """Show this time; None: that of the event loop that runs when it is asked."""
        self._of = timeline

    @property
    def _timeline(self) -> Timeline:
        return current() if self._of is None else self._of

    def __repr__(self) -> str:
        try:
            return f"<FakeClock at {self.now:g} s>"
        except LookupError:
            return "<FakeClock of the loop that runs>"

    @property
    def now(self) -> float:
        """The virtual time, in seconds since the run began: what `anyio.current_time` gives.

        May be read from any thread.
        """
        return self._timeline.now

    @property
    def auto(self) -> bool:
        """Whether time jumps by itself to what is due next, when all wait. It does by default.

        Where it does not, only `advance` moves it.
        """
        return self._timeline.auto

    @auto.setter
    def auto(self, auto: bool) -> None:
        self._timeline.auto = auto

    @property
    def patience(self) -> float:
        """How long a run may wait for the world outside, in real seconds.

        That is, for threads, sockets, subprocesses, and whatever holds time. Then it ends with a
        `StalledError`.
        """
        return self._timeline.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._timeline.patience = seconds

    async def advance(self, seconds: float) -> None:
        """Move time on, by way of everything that is due meanwhile.

        What is due is done in the order of its time, and after each instant all tasks run until
        they wait again, threads at work included. That holds of the last instant, too: what was
        due then is done, and all wait, when this returns.

        Args:
            seconds: how far; 0 just lets everything settle.

        Raises:
            ValueError: `seconds` is negative, or infinite.

        """
        if not 0 <= seconds < math.inf:
            message = f"time goes forward, by a finite number of seconds, and not by {seconds!r}"
            raise ValueError(message)
        await self._timeline.advance(seconds)

    def hold(self, why: str = "") -> AbstractContextManager[None]:
        """Let time stand still meanwhile; for what takes real time, and no event loop knows of.

        Sockets and subprocesses that the test talks to, threads that it has started itself. May be
        called from any thread, and more than once at a time.

        Args:
            why: for whoever reads that time stood still for too long; by default the line that
                called.

        """
        if not why:
            caller = sys._getframe(1)  # noqa: SLF001  documented  # pyright: ignore[reportPrivateUsage]
            why = f"hold() at {caller.f_code.co_filename}:{caller.f_lineno}"
        return self._timeline.hold(why)

    def blocked(self) -> AbstractContextManager[None]:
        """Let time go on although the thread that calls this works.

        Threads hold time as long as they work. One that is stuck, or waits for something that only
        time can bring, says so with this. The thread works again when it leaves it: if what it
        waits for comes from the event loop, see `Stuck` for how to let no time pass between.

        Raises:
            RuntimeError: it was called on the event loop, which is not to be blocked.

        """
        if _running() is not None:
            message = "blocked() is for threads: on the event loop it would stop everything"
            raise RuntimeError(message)
        return self._timeline.workers.blocked()


def clock() -> FakeClock:
    """The clock of the virtual time that the caller runs in.

    In a task, in a callback, or in a thread that works for a task.

    Raises:
        LookupError: time is real here.

    """
    return FakeClock(current())


def current() -> Timeline:
    """The virtual time that the caller runs in.

    Raises:
        LookupError: time is real here.

    """
    found = getattr(_running() or ORIGIN.get(), "timeline", None)
    if isinstance(found, Timeline):
        return found
    message = "time is real here: use lifecycle.testing.run, or the fixture `virtual_time`"
    raise LookupError(message)


def _running() -> object:
    """What keeps the time of the event loop that runs in this thread; None: there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        in_trio = trio is not None and trio.lowlevel.in_trio_run()
        return trio.lowlevel.current_clock() if in_trio and trio is not None else None
