"""Holds the reductions of `situations` against explorations that reduce nothing."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tests.core.explorer.driver import Driver
from tests.core.explorer.exploring import successors
from tests.core.explorer.situations import everything, key

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tests.core.explorer.graphs import Graph


class Reduced:
    """The situations of one graph, each with those that come next."""

    def __init__(self, graph: Graph) -> None:
        """Explore it."""
        first = Driver(graph)
        self._next: dict[Hashable, set[Hashable]] = {key(first): set()}
        self._released: dict[Hashable, set[Hashable]] = {}
        waiting = deque([first])
        while waiting:
            here = waiting.popleft()
            known_as = key(here)
            for there in successors(here):
                self._add(known_as, there)
                if key(there) not in self._next:
                    self._next[key(there)] = set()
                    waiting.append(there)

    def _add(self, here: Hashable, there: Driver) -> None:
        self._next[here].add(key(there))
        if there.said[-1].name == "released":
            self._released.setdefault(here, set()).add(key(there))

    def leads_to(self, here: Hashable, there: Hashable) -> bool:
        """Whether a step, and what work there is ending after that, leads from one to the other."""
        if here == there:
            return True
        reached = set(self._next[here])
        waiting = list(reached)
        while waiting and there not in reached:
            new = self._released.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        return there in reached


def compare(graph: Graph, *, holds: int) -> int:
    """Explore a graph without any reduction, and find each step in the reduced one.

    Returns:
        How many situations there are.

    Raises:
        AssertionError: a step leads where the reduced exploration does not.

    """
    reduced = Reduced(graph)
    first = Driver(graph, holds=holds)
    met = {everything(first)}
    waiting = deque([first])
    while waiting:
        here = waiting.popleft()
        known_as = key(here)
        for action in here.actions():
            there = here.clone()
            there.say(action)
            told = ", ".join(map(str, there.said))
            assert reduced.leads_to(known_as, key(there)), f"{graph}: {told}"
            raw = everything(there)
            if raw not in met:
                met.add(raw)
                waiting.append(there)
    return len(met)
