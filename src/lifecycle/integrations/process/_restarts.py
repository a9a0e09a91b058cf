"""How often, and after which pauses, a program that has ended is started again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from lifecycle.errors import seconds

if TYPE_CHECKING:
    from lifecycle import Retry


class Restarts:
    """The restarts of one program, of which there may be so many within a period.

    The pauses are those of a `Retry`. They are short again when a whole period has passed.
    """

    def __init__(self, retry: Retry, period: float) -> None:
        """Nothing has been restarted.

        Args:
            retry: how many there may be within the period, after which pauses, and after what.
            period: in seconds.

        """
        self._retry = retry
        self._period = period
        self._at: deque[float] = deque()

    def __str__(self) -> str:
        """How many there were within the period: ``2x within 60 s``."""
        return f"{len(self._at)}x within {seconds(self._period)}"

    def __bool__(self) -> bool:
        """Whether there were any."""
        return bool(self._at)

    def pause(self, now: float, error: Exception) -> float | None:
        """Take note of an end; gives the pause before the next start, None: there is none.

        Args:
            now: when it ended, in seconds.
            error: how.

        """
        while self._at and self._at[0] <= now - self._period:
            self._at.popleft()
        pauses = list(self._retry.delays())
        if len(self._at) >= len(pauses) or not isinstance(error, self._retry.on):
            return None
        pause = pauses[len(self._at)]
        self._at.append(now)
        return pause
