"""The order of the points within each column: as few crossings as can be found in little time.

The usual way (Sugiyama): sweep over the columns, to and fro, and order each by where its neighbours
in the column before stand, on average; exchange two that stand beside each other where that helps;
keep the best that was seen. It decides nothing by chance, so that the same graph is drawn the same.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.probes.page.columns import Columns

_SWEEPS = 24
"""How often at most; what is gained after a dozen is little."""
_PATIENCE = 6
"""After how many sweeps without gain it is good enough."""
_WORK = 60_000
"""Points times sweeps at most, so that a large graph takes a fraction of a second."""


@attrs.define
class _Order:
    """An order that is being improved."""

    columns: list[list[int]]
    before: dict[int, list[int]]
    """The neighbours of a point in the column before its own."""
    behind: dict[int, list[int]]

    def crossings(self) -> int:
        """How often two lines cross."""
        pairs = pairwise(self.columns)
        return sum(_crossings(first, second, self.behind) for first, second in pairs)

    def sweep(self, *, forth: bool) -> None:
        """Order each column by the one before it, or, on the way back, behind it."""
        numbers = range(len(self.columns))
        neighbours = self.before if forth else self.behind
        for number in numbers[1:] if forth else reversed(numbers[:-1]):
            other = self.columns[number - 1 if forth else number + 1]
            place = {point: float(where) for where, point in enumerate(other)}
            self.columns[number] = _by_neighbours(self.columns[number], neighbours, place)

    def exchange(self) -> None:
        """Exchange what stands beside each other where that leaves fewer crossings."""
        for number, column in enumerate(self.columns):
            sides = [
                (neighbours, {point: where for where, point in enumerate(self.columns[other])})
                for other, neighbours in ((number - 1, self.before), (number + 1, self.behind))
                if 0 <= other < len(self.columns)
            ]
            for where in range(len(column) - 1):
                upper, lower = column[where : where + 2]
                gain = sum(
                    _pair_crossings(neighbours, place, upper, lower)
                    - _pair_crossings(neighbours, place, lower, upper)
                    for neighbours, place in sides
                )
                if gain > 0:
                    column[where : where + 2] = lower, upper


def ordered(drawn: Columns) -> tuple[tuple[int, ...], ...]:
    """Order the points of each column."""
    order = _Order([list(column) for column in drawn.columns], {}, {})
    for point in (point for column in drawn.columns for point in column):
        order.before[point], order.behind[point] = [], []
    for first, second in drawn.steps:
        order.behind[first].append(second)
        order.before[second].append(first)
    _improve(order)
    return tuple(map(tuple, order.columns))


def _improve(order: _Order) -> None:
    best, fewest = [list(column) for column in order.columns], order.crossings()
    sweeps = min(_SWEEPS, max(4, _WORK // max(1, len(order.before))))
    waited = 0
    for number in range(sweeps):
        if not fewest or waited >= _PATIENCE:
            break
        order.sweep(forth=number % 2 == 0)
        order.exchange()
        found = order.crossings()
        waited += 1
        if found < fewest:
            best, fewest = [list(column) for column in order.columns], found
            waited = 0
    order.columns = best


def _by_neighbours(
    column: Sequence[int], neighbours: dict[int, list[int]], place: dict[int, float]
) -> list[int]:
    """Sort by the mean place of the neighbours; who has none keeps his own place."""
    free = [not neighbours[point] for point in column]
    mean = {
        point: sum(place[other] for other in neighbours[point]) / len(neighbours[point])
        for point in column
        if neighbours[point]
    }
    tied = iter(sorted(mean, key=mean.__getitem__))  # ties stay as they were: sorting is stable
    return [point if free[where] else next(tied) for where, point in enumerate(column)]


def _crossings(first: Sequence[int], second: Sequence[int], behind: dict[int, list[int]]) -> int:
    """Count the crossings between two columns: pairs of lines in the wrong order."""
    place = {point: where for where, point in enumerate(second)}
    seen: list[int] = []
    count = 0
    for point in first:
        ends = sorted(place[other] for other in behind[point])
        count += sum(len(seen) - bisect_right(seen, end) for end in ends)
        for end in ends:
            insort(seen, end)
    return count


def _pair_crossings(
    neighbours: dict[int, list[int]], place: dict[int, int], upper: int, lower: int
) -> int:
    """Count the crossings of the lines of two points, with one above the other."""
    ends = sorted(place[other] for other in neighbours[lower])
    return sum(_smaller(ends, place[other]) for other in neighbours[upper])


def _smaller(ordered: Sequence[int], than: int) -> int:
    return bisect_right(ordered, than - 1)
