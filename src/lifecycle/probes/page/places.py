"""Where in its column each point stands: near its neighbours, so that lines are short and straight.

What is made small is the sum of the squared heights of all steps, those between bends counting
more. Columns are looked at one after the other, to and fro. For a single column, with its order and
the least distances kept, the best places are known exactly: the distances taken out, it is an
isotonic regression, solved by joining neighbours that would overlap ("pool adjacent violators").
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.probes.page.columns import Columns

_ROUNDS = 40
_WORK = 80_000
"""Points times rounds at most."""
_STRAIGHT = 16.0
"""How much more a step between two bends counts than one between two components: a long line that
wavers is harder to follow than a short one."""


@attrs.define
class _Block:
    """Neighbours that stand as close as they may, and move together."""

    total: float
    weight: float
    count: int = 1

    @property
    def place(self) -> float:
        return self.total / self.weight


@attrs.frozen
class Rooms:
    """How much room points take, in pixels."""

    box: float
    """A component."""
    bend: float
    gap: float
    """What is left free between two components."""
    tight: bool = False
    """Whether no column may be longer than the longest has to be."""


def places(drawn: Columns, order: Sequence[Sequence[int]], rooms: Rooms) -> dict[int, float]:
    """Say where the middle of each point is, so that the first of all begins at 0.

    Args:
        drawn: the graph in columns.
        order: the points of each column, in their order.
        rooms: how much room they take.

    """
    sizes = {p: rooms.box if p < drawn.size else rooms.bend for column in order for p in column}
    neighbours = _neighbours(drawn)
    columns = [_Column(column, sizes, rooms) for column in order]
    longest = max(column.length for column in columns) if rooms.tight else None
    place: dict[int, float] = {}
    for column in columns:
        column.spread([0.0] * len(column.points), [1.0] * len(column.points), place, longest)
    for _ in range(min(_ROUNDS, max(6, _WORK // len(sizes)))):
        for column in (*columns, *reversed(columns)):
            weights = [sum(weight for _, weight in neighbours[p]) for p in column.points]
            wanted = [
                sum(place[other] * weight for other, weight in neighbours[p]) / total
                for p, total in zip(column.points, weights, strict=True)
            ]
            column.spread(wanted, weights, place, longest)
    top = min(where - sizes[point] / 2 for point, where in place.items())
    return {point: where - top for point, where in place.items()}


def _neighbours(drawn: Columns) -> defaultdict[int, list[tuple[int, float]]]:
    neighbours: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
    for first, second in drawn.steps:
        bends = (first >= drawn.size) + (second >= drawn.size)
        weight = (1.0, 2.0, 2.0 * _STRAIGHT)[bends]
        neighbours[first].append((second, weight))
        neighbours[second].append((first, weight))
    return neighbours


class _Column:
    """The points of one column, and how far apart the middles of neighbours have to be."""

    def __init__(self, points: Sequence[int], sizes: dict[int, float], rooms: Rooms) -> None:
        self.points = points
        self.offsets = [0.0]
        """Of each point from the first, where all stand as close as they may."""
        for one, other in pairwise(points):
            gap = rooms.gap if sizes[one] == sizes[other] == rooms.box else rooms.gap / 2
            self.offsets.append(self.offsets[-1] + (sizes[one] + sizes[other]) / 2 + gap)
        self._first, last = sizes[points[0]] / 2, sizes[points[-1]] / 2
        self.length = self._first + self.offsets[-1] + last

    def spread(
        self,
        wanted: Sequence[float],
        weights: Sequence[float],
        place: dict[int, float],
        longest: float | None,
    ) -> None:
        """Put each point as near to where it is wanted as the others, and the end, let it."""
        blocks: list[_Block] = []
        for want, weight, offset in zip(wanted, weights, self.offsets, strict=True):
            blocks.append(_Block((want - offset) * weight, weight))
            while len(blocks) > 1 and blocks[-2].place > blocks[-1].place:
                last = blocks.pop()
                blocks[-1].total += last.total
                blocks[-1].weight += last.weight
                blocks[-1].count += last.count
        bases = [block.place for block in blocks for _ in range(block.count)]
        if longest is not None:  # what sticks out is pushed in: that is the best within bounds, too
            least, most = self._first, self._first + longest - self.length
            bases = [min(max(base, least), most) for base in bases]
        for point, base, offset in zip(self.points, bases, self.offsets, strict=True):
            place[point] = base + offset
