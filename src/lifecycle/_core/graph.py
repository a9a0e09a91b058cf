"""Orders and paths in a graph of integers.

A node is its index; ``dependencies[node]`` are the nodes that come before it. All of it is linear,
or nearly so, and nothing recurses: a chain of 100 000 is as good as any other graph.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Dependencies = Sequence[Sequence[int]]


def order(dependencies: Dependencies) -> list[int]:
    """Put each node after what it depends on; of several that could follow, the lowest does.

    Nodes on a circle, and all that depend on them, are missing from the result.
    """
    waits_for = [len(set(before)) for before in dependencies]
    dependents = _reversed(dependencies)
    free = [node for node, count in enumerate(waits_for) if not count]  # sorted, hence a heap
    ordered: list[int] = []
    while free:
        node = heapq.heappop(free)
        ordered.append(node)
        for dependent in dependents[node]:
            waits_for[dependent] -= 1
            if not waits_for[dependent]:
                heapq.heappush(free, dependent)
    return ordered


def circles(dependencies: Dependencies, ordered: Sequence[int]) -> list[list[int]]:
    """Find circles among the nodes that `order` left out; at least one where it left any.

    Each begins with its lowest node and goes from dependent to dependency, without the return to
    its beginning. No two share a node, so where circles touch, not all of them are found at once.
    """
    left = set(range(len(dependencies))).difference(ordered)
    found: list[list[int]] = []
    seen: set[int] = set()
    for start in sorted(left):
        path: dict[int, None] = {}
        node = start
        # Whatever was left out waits for something that was left out: the walk has no other end.
        while node not in seen:
            seen.add(node)
            path[node] = None
            node = next(before for before in dependencies[node] if before in left)
        if node in path:
            walked = list(path)
            circle = walked[walked.index(node) :]
            lowest = circle.index(min(circle))
            found.append(circle[lowest:] + circle[:lowest])
    return found


def longest_path(
    dependencies: Dependencies, ordered: Sequence[int], lengths: Sequence[float]
) -> list[int]:
    """Find the chain, dependencies first, whose lengths add up to the most.

    Of equal ones the one that was registered first wins; a chain does not go on over nodes that
    add nothing.
    """
    if not ordered:
        return []
    total = [0.0] * len(dependencies)
    before: list[int | None] = [None] * len(dependencies)
    for each in ordered:
        for dependency in dependencies[each]:
            if total[dependency] > total[each]:
                total[each] = total[dependency]
                before[each] = dependency
        total[each] += lengths[each]
    last = max(range(len(total)), key=lambda each: (total[each], -each))
    path: list[int] = []
    node: int | None = last if total[last] else None
    while node is not None:
        path.append(node)
        node = before[node]
    path.reverse()
    return path


def reachable(start: Sequence[int], dependencies: Dependencies) -> set[int]:
    """Find everything that `start` depends on, directly or not, itself included."""
    seen = set(start)
    waiting = list(seen)
    while waiting:
        new = [node for node in dependencies[waiting.pop()] if node not in seen]
        seen.update(new)
        waiting.extend(new)
    return seen


def _reversed(dependencies: Dependencies) -> list[list[int]]:
    dependents: list[list[int]] = [[] for _ in dependencies]
    for node, before in enumerate(dependencies):
        for dependency in set(before):
            dependents[dependency].append(node)
    return dependents
