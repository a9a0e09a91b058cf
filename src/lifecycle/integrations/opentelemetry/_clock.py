"""The wall clock, as seen from that of an event loop."""

from __future__ import annotations

import time

_NANOSECONDS = 1_000_000_000


class Clock:
    """Turns times on the loop's clock, in seconds, into ones on the wall clock, in nanoseconds.

    Spans of one trace have to fit together, so both clocks are compared once, when it begins. They
    drift apart over weeks, so that is done again for the next one.
    """

    def __init__(self) -> None:
        """Nothing is known of the loop's clock yet."""
        self._loop = 0.0
        self._wall = 0

    def compare(self, now: float) -> None:
        """Compare both.

        Args:
            now: the time on the loop's clock.

        """
        self._loop, self._wall = now, time.time_ns()

    def wall(self, at: float) -> int:
        """The time on the wall clock, in nanoseconds."""
        return self._wall + round((at - self._loop) * _NANOSECONDS)
