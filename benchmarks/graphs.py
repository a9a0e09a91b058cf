"""Graphs of components: for each, by its index, those that it depends on."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Graph: TypeAlias = list[list[int]]


def chain(size: int) -> Graph:
    """Each depends on the one before."""
    return [[node - 1] if node else [] for node in range(size)]


def wide(size: int) -> Graph:
    """None depends on any."""
    return [[] for _ in range(size)]


def tree(size: int) -> Graph:
    """Two depend on each, down to the leaves."""
    return [[(node - 1) // 2] if node else [] for node in range(size)]


def layered(size: int) -> Graph:
    """Layers as wide as they are many; each depends on three of the layer before."""
    width = max(1, int(size**0.5))
    return [
        [] if node < width else list(dict.fromkeys(_before(node, width))) for node in range(size)
    ]


def _before(node: int, width: int) -> list[int]:
    layer = (node // width - 1) * width
    return [layer + (node + shift) % width for shift in range(3)]


def scattered(size: int, seed: int) -> Graph:
    """Each depends on up to three of the dozen before it."""
    dice = random.Random(seed)  # noqa: S311  to be the same each time
    return [
        dice.sample(range(max(0, node - 12), node), dice.randint(0, min(3, node)))
        for node in range(size)
    ]


def turned_round(graph: Graph) -> Graph:
    """For each, those that depend on it."""
    dependents: Graph = [[] for _ in graph]
    for node, dependencies in enumerate(graph):
        for dependency in dependencies:
            dependents[dependency].append(node)
    return dependents


def critical_path(graph: Graph, seconds: list[float]) -> float:
    """How long the longest chain takes."""
    ends = [0.0] * len(graph)
    for node, dependencies in enumerate(graph):
        ends[node] = max((ends[d] for d in dependencies), default=0.0) + seconds[node]
    return max(ends)


def critical_path_of_stop(graph: Graph, seconds: list[float]) -> float:
    """The same, in reverse."""
    ends = [0.0] * len(graph)
    for node in reversed(range(len(graph))):
        ends[node] += seconds[node]
        for dependency in graph[node]:
            ends[dependency] = max(ends[dependency], ends[node])
    return max(ends)


SHAPES: dict[str, Callable[[int], Graph]] = {
    "chain": chain,
    "wide": wide,
    "tree": tree,
    "layered": layered,
}
