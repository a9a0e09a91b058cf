"""Something that threads are stuck in."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from lifecycle.testing._clock import clock

if TYPE_CHECKING:
    from lifecycle.testing._clock import FakeClock


class Stuck:
    """Something that threads are stuck in while time goes on, until they are released.

    For sync hooks that hang, and whatever else is called in a thread. From the moment in which they
    are released time stands still for them again, as for all threads that work.
    """

    def __init__(self) -> None:
        """Nobody is stuck in it yet."""
        self._lock = threading.Lock()
        self._inside = 0
        self._released = threading.Event()
        self._clocks: list[FakeClock] = []
        self._holding = contextlib.ExitStack()

    def block(self) -> None:
        """Block the thread that calls it. After the release it does not block any more.

        Raises:
            RuntimeError: it was called on the event loop.
            LookupError: time is real here.

        """
        within = clock()
        blocked = within.blocked()
        with self._lock:
            if self._released.is_set():
                return
            self._inside += 1
            self._clocks.append(within)
        with blocked:
            self._released.wait()
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._holding.close()

    def release(self) -> None:
        """Let all go on. May be called from any thread, and again."""
        with self._lock:
            if self._inside and not self._released.is_set():
                for within in self._clocks:
                    self._holding.enter_context(within.hold("threads that were released"))
            self._released.set()
