"""Walks through all situations, each once, shortest ways first."""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING

from tests.core.explorer.driver import Driver
from tests.core.explorer.facts import PERHAPS, Action
from tests.core.explorer.situations import Stage, is_looked_at_elsewhere, key, shed, stage_of
from tests.core.explorer.view import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.core.explorer.graphs import Graph
    from tests.core.explorer.situations import Key


class Exploration:
    """What was met so far: what one graph leads to is not looked at again for another.

    It can be shared out. Each share looks at every start, and at the rest of it where the shape of
    what lives when the drain begins is its own.
    """

    def __init__(self, share: int = 0, shares: int = 1) -> None:
        """Nothing was met."""
        self._share = share
        self._shares = shares
        self.met: set[Key] = set()
        self.steps = 0

    def explore(self, graph: Graph) -> None:
        """Say everything that can be said, in every order, until nothing new comes of it.

        Raises:
            BrokenError: an invariant broke, or a fact did not fit; with the shortest way to there.

        """
        first = Driver(graph)
        waiting = deque([first] if self._is_new(key(first)) else [])
        while waiting:
            here = waiting.popleft()
            has_begun = stage_of(here.view) >= Stage.DRAIN
            for there in successors(here):
                self.steps += 1
                known_as = key(there)
                if self._is_new(known_as) and (has_begun or self._is_mine(known_as)):
                    waiting.append(there)

    def _is_new(self, known_as: Key) -> bool:
        is_new = known_as not in self.met
        self.met.add(known_as)
        return is_new

    def _is_mine(self, known_as: Key) -> bool:
        if known_as.stage < Stage.DRAIN:
            return True
        return zlib.crc32(repr(known_as.shape).encode()) % self._shares == self._share


def successors(here: Driver) -> Iterator[Driver]:
    """Everything that can come of a situation by one step."""
    has_begun = stage_of(here.view) >= Stage.DRAIN
    for action in here.actions():
        if is_looked_at_elsewhere(here.view, action):
            continue
        there = _after(here, action)
        yield there
        if not has_begun and stage_of(there.view) >= Stage.DRAIN:
            held = [Action("held", who, PERHAPS) for who in (*here.view.everyone, SYSTEM)]
            yield _after(here, *held, action)


def _after(here: Driver, *actions: Action) -> Driver:
    there = here.clone()
    for action in actions:
        there.say(action)
    shed(there)
    return there
