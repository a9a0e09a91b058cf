"""What is in flight: pieces of work, counted, and the body of ``running``."""

from __future__ import annotations


class InFlight:
    """What the close waits for, beside the drain hooks."""

    def __init__(self, size: int) -> None:
        """Nothing is in flight."""
        self._work = 0
        self._work_of = [0] * size
        self.body_is_there = False
        """Whether the body has begun and not ended."""
        self.body = False
        """Whether the body is in flight: not where it only waits for the end."""

    @property
    def work(self) -> int:
        """How much work there is, of components and of the system."""
        return self._work

    def work_of(self, component: int) -> int:
        """How much work of one component there is."""
        return self._work_of[component]

    def count(self, component: int | None, change: int) -> None:
        """There is one piece of work more, or less: of a component, or of the system."""
        self._work += change
        if component is not None:
            self._work_of[component] += change
