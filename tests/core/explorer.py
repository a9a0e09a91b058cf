"""Walks through everything that can happen to a machine, shortest ways first."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tests.core.driver import BrokenError, Driver

if TYPE_CHECKING:
    from tests.core.graphs import Graph


def explore(graph: Graph, *, most: int, holds: int = 1) -> int:
    """Say everything that can be said, in every order; returns in how many situations that ends.

    A situation that was met before is left alone, unless more disturbances may follow this time.

    Raises:
        AssertionError: an invariant broke, or a fact did not fit; with the shortest way to there.

    """
    first = Driver(graph, most=most, holds=holds)
    best = {first.key(): first.left}
    waiting = deque([(first, first.key())])
    while waiting:
        here, known_as = waiting.popleft()
        if best[known_as] > here.left:
            continue
        for action in here.actions():
            there = here.clone()
            try:
                there.say(action)
            except (BrokenError, RuntimeError, IndexError) as error:
                message = f"{graph}: {', '.join(there.said)}: {error}"
                raise AssertionError(message) from error
            key = there.key()
            if best.get(key, -1) < there.left:
                best[key] = there.left
                waiting.append((there, key))
    assert first.tables() == Driver(graph).tables()
    return len(best)
