"""Which column each component stands in, and the way of each edge from column to column.

An edge that spans several columns passes through a bend in each column between. All edges of one
kind from one component share their bends: they leave it as one line that branches where they part.
So what everything needs costs one line, not one for each that needs it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.probes.page.graph import Edge, Graph, Kind


@attrs.frozen
class Columns:
    """A graph in columns. Its points are the components, by their index, and the bends after them.

    The first component of an edge is always in a column before that of the second.
    """

    size: int
    """How many of the points are components, of the whole graph, drawn here or not."""
    columns: tuple[tuple[int, ...], ...]
    """The points of each column, from the first to the last."""
    routes: tuple[tuple[Edge, tuple[int, ...]], ...]
    """Each edge and the points that it passes, one for each column, both ends included."""

    @property
    def steps(self) -> list[tuple[int, int]]:
        """All ways from a point to one in the next column, each once."""
        steps = ((a, b) for _, way in self.routes for a, b in pairwise(way))
        return list(dict.fromkeys(steps))


def columns_of(graph: Graph, members: Sequence[int], most: int | None = None) -> Columns:
    """Arrange some of the components, with all that they need, in columns.

    Args:
        graph: all components.
        members: which of them, in ascending order.
        most: how many may stand in one column; None: as many as there are.

    """
    chosen = set(members)
    edges = [edge for edge in graph.edges if edge.target in chosen]
    rank = _ranks(members, edges, most)
    found: list[list[int]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for member in members:
        found[rank[member]].append(member)
    bends: dict[tuple[int, Kind, int], int] = {}
    routes: list[tuple[Edge, tuple[int, ...]]] = []
    for edge in edges:
        way = [edge.source]
        for between in range(rank[edge.source] + 1, rank[edge.target]):
            key = (edge.source, edge.kind, between)
            if key not in bends:
                bends[key] = len(graph.names) + len(bends)
                found[between].append(bends[key])
            way.append(bends[key])
        routes.append((edge, (*way, edge.target)))
    return Columns(len(graph.names), tuple(map(tuple, found)), tuple(routes))


def bends_of(graph: Graph, most: int | None = None) -> int:
    """Say how many bends the whole graph would have; cheap even where these are too many."""
    rank = _ranks(range(len(graph.names)), graph.edges, most)
    furthest: dict[tuple[int, Kind], int] = {}
    for edge in graph.edges:
        line = (edge.source, edge.kind)
        length = rank[edge.target] - rank[edge.source] - 1
        furthest[line] = max(length, furthest.get(line, 0))
    return sum(furthest.values())


def _ranks(members: Sequence[int], edges: Sequence[Edge], most: int | None) -> dict[int, int]:
    """Each as far left as it can be, and then, where that makes edges shorter, as far right."""
    needs: defaultdict[int, list[int]] = defaultdict(list)
    needed_by: defaultdict[int, list[int]] = defaultdict(list)
    for edge in edges:
        needs[edge.target].append(edge.source)
        needed_by[edge.source].append(edge.target)
    rank: dict[int, int] = {}
    for member in members:
        rank[member] = max((rank[source] + 1 for source in needs[member]), default=0)
    for member in reversed(members):
        if needed_by[member] and len(needed_by[member]) >= len(needs[member]):
            rank[member] = min(rank[target] for target in needed_by[member]) - 1
    return rank if most is None else _narrowed(rank, needs, most)


def _narrowed(
    rank: dict[int, int], needs: defaultdict[int, list[int]], most: int
) -> dict[int, int]:
    """Move to the right, in the order of the columns, what finds its column full."""
    narrow: dict[int, int] = {}
    filled: Counter[int] = Counter()
    for member in sorted(rank, key=rank.__getitem__):
        column = max((narrow[source] + 1 for source in needs[member]), default=0)
        while filled[column] >= most:
            column += 1
        narrow[member] = column
        filled[column] += 1
    return narrow


def connected(graph: Graph) -> list[list[int]]:
    """Split a graph into parts that no edge ties to each other; each in ascending order.

    The part of the first component comes first, and so on.
    """
    leader = list(range(len(graph.names)))

    def find(member: int) -> int:
        while leader[member] != member:
            leader[member] = leader[leader[member]]
            member = leader[member]
        return member

    for edge in graph.edges:
        one, other = find(edge.source), find(edge.target)
        leader[max(one, other)] = min(one, other)
    parts: dict[int, list[int]] = {}
    for member in range(len(graph.names)):
        parts.setdefault(find(member), []).append(member)
    return list(parts.values())
