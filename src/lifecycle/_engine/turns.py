"""Letting tasks run in the order in which they were told to, on trio too.

asyncio runs tasks first come, first served. trio shuffles what is runnable at the same time, on
purpose; there, the next task is woken only when the one before has run. Both ways the hooks of
components that may start, drain or stop at the same time are called in one order, each time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from lifecycle._engine.loop import in_trio

if TYPE_CHECKING:
    from collections.abc import Callable


class Turns:
    """Wakes one task after the other."""

    def __init__(self) -> None:
        """Nobody waits for a turn."""
        self._one_by_one = in_trio()
        self._queue: deque[Callable[[], object]] = deque()
        self._busy = False

    def give(self, wake: Callable[[], object]) -> None:
        """Wake a task that will say `taken` as soon as it runs."""
        if not self._one_by_one:
            wake()
            return
        self._queue.append(wake)
        if not self._busy:
            self._next()

    def taken(self) -> None:
        """The task that was woken runs now; the next one will after it."""
        if self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = bool(self._queue)
        if self._queue:
            self._queue.popleft()()
