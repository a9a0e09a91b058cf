"""The ledger: where each component stands, and what the engine is to do about it.

What the start, the drain and the stop share. A state changes here and nowhere else, and only along
the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle._core.transitions import COMPONENT, Fact, follow
from lifecycle.states import State

if TYPE_CHECKING:
    from lifecycle._core.commands import Command
    from lifecycle._core.edges import Edges


class Ledger:
    """Where each component stands, and the commands that are to go out."""

    def __init__(self, edges: Edges) -> None:
        """Nothing has begun."""
        self.edges = edges
        self.states = [State.PENDING] * edges.size
        self.alive = [False] * edges.size
        """Whether it became ready and has not been stopped."""
        self.unwinding = [False] * edges.size
        """Whether its start hook still runs, though it was cancelled or has run out of time."""
        self._out: list[Command] = []

    def move(self, component: int, fact: Fact) -> None:
        """Something has happened to a component."""
        self.states[component] = follow(COMPONENT, self.states[component], fact)

    def is_ready(self, component: int) -> None:
        """Its start has ended well, perhaps after its cancellation."""
        self.move(component, Fact.STARTED)
        self.unwinding[component] = False
        self.alive[component] = True

    def say(self, command: Command) -> None:
        """Have something done, after what was said before."""
        self._out.append(command)

    def take(self) -> list[Command]:
        """What was said since this was last asked."""
        out, self._out = self._out, []
        return out

    def count_dependents(self) -> list[int]:
        """For each component, how many dependents have not ended: are alive, or unwinding."""
        counts = [0] * self.edges.size
        for component, dependencies in enumerate(self.edges.dependencies):
            if self.alive[component] or self.unwinding[component]:
                for dependency in dependencies:
                    counts[dependency] += 1
        return counts
