"""What comes first of what may happen at the same time: decided by a seed.

A loop may be busy at any time, so that a task that could go on goes on later. That is all that a
seed does: it makes tasks late. What asyncio promises of callbacks stays true.
"""

from __future__ import annotations

import random

_MOST = 3


class Interleaving:
    """The decisions that follow from one seed."""

    def __init__(self, seed: int | None) -> None:
        """Begin. Without a seed nothing is ever late."""
        self._is_seeded = seed is not None
        self._random = random.Random(seed)  # noqa: S311  not for secrets

    def delay(self) -> int:
        """How many turns of the loop a task is late by."""
        turns = 0
        if self._is_seeded:
            while turns < _MOST and self._random.random() < 0.5:  # noqa: PLR2004  a coin
                turns += 1
        return turns

    def tie(self) -> float:
        """Which of two timers at the same instant is first: the one that drew less."""
        return self._random.random() if self._is_seeded else 0.0
