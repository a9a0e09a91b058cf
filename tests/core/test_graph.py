from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lifecycle._core.graph import circles, longest_path, order, reachable

MANY = 100_000


def graphs(*, acyclic: bool) -> st.SearchStrategy[list[list[int]]]:
    """Graphs of up to eight nodes, in which an edge may be there twice."""

    def of_size(size: int) -> st.SearchStrategy[list[list[int]]]:
        if not acyclic:
            return st.tuples(
                *(st.lists(st.integers(0, size - 1), max_size=3) for _ in range(size))
            ).map(list)
        return st.permutations(range(size)).flatmap(edges_along)

    def edges_along(line: list[int]) -> st.SearchStrategy[list[list[int]]]:
        befores = [
            st.lists(st.sampled_from(line[:place]), max_size=3) if place else st.just([])
            for place in range(len(line))
        ]
        by_node = st.tuples(*befores)
        return by_node.map(lambda lists: [lists[line.index(node)] for node in range(len(line))])

    return st.integers(1, 8).flatmap(of_size)


@given(graphs(acyclic=True))
def test_order_is_the_lowest_of_all_orders(dependencies: list[list[int]]) -> None:
    """Each node follows what it depends on, and of those that could follow, the lowest does."""
    expected: list[int] = []
    while len(expected) < len(dependencies):
        free = (
            node
            for node, before in enumerate(dependencies)
            if node not in expected and set(before) <= set(expected)
        )
        expected.append(min(free))
    assert expected == order(dependencies)


@given(graphs(acyclic=False))
def test_order_leaves_out_circles_and_what_follows_them(dependencies: list[list[int]]) -> None:
    """What is left out is exactly what depends on a node that depends on itself."""
    on_circle = {
        node for node, before in enumerate(dependencies) if node in reachable(before, dependencies)
    }
    expected = [
        node for node in range(len(dependencies)) if not reachable([node], dependencies) & on_circle
    ]
    assert expected == sorted(order(dependencies))


@given(graphs(acyclic=False))
def test_circles_are_circles(dependencies: list[list[int]]) -> None:
    """A circle goes from dependent to dependency, begins with its lowest node, and shares none."""
    ordered = order(dependencies)
    found = circles(dependencies, ordered)
    for circle in found:
        assert min(circle) == circle[0]
        for node, dependency in zip(circle, [*circle[1:], circle[0]], strict=True):
            assert dependency in dependencies[node]
    nodes = list(itertools.chain.from_iterable(found))
    assert len(set(nodes)) == len(nodes)
    assert bool(found) == (len(ordered) < len(dependencies))


def test_all_of_several_circles_are_found() -> None:
    """Circles that share no node are all found, also behind one another."""
    dependencies = [[1], [0], [3, 0], [2], [4], [4]]
    assert [[0, 1], [2, 3], [4]] == circles(dependencies, order(dependencies))


@given(graphs(acyclic=True), st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_longest_path_is_the_longest(dependencies: list[list[int]], lengths: list[int]) -> None:
    """No chain of dependencies is longer than the one that is found."""
    ordered = order(dependencies)
    path = longest_path(dependencies, ordered, lengths)
    for dependency, node in itertools.pairwise(path):
        assert dependency in dependencies[node]
    until: dict[int, int] = {}
    for node in ordered:
        longest = max((until[before] for before in dependencies[node]), default=0)
        until[node] = longest + lengths[node]
    assert max(until.values()) == sum(lengths[node] for node in path)


def test_longest_path_prefers_what_was_registered_first() -> None:
    """Of chains of the same length, the one whose nodes are lowest is the one."""
    assert [0, 2] == longest_path([[], [], [0, 1], [1]], [0, 1, 2, 3], [1, 1, 1, 1])


def test_longest_path_of_nothing() -> None:
    """Where nothing takes time there is no path."""
    assert [] == longest_path([], [], [])
    assert [] == longest_path([[], [0]], [0, 1], [0, 0])


def test_longest_path_begins_where_time_is_taken() -> None:
    """What takes no time is not the beginning of a path."""
    assert [1] == longest_path([[], [0]], [0, 1], [0, 5])


def test_reachable() -> None:
    """What is reachable is the nodes themselves and all that they depend on."""
    assert {0, 1, 3} == reachable([3], [[], [0], [1], [1]])


def test_a_long_chain() -> None:
    """A chain of 100 000, registered last first, is put in order without recursion."""
    dependencies = [[node + 1] for node in range(MANY - 1)] + [[]]
    ordered = order(dependencies)
    assert list(reversed(range(MANY))) == ordered
    assert ordered == longest_path(dependencies, ordered, [1] * MANY)
    assert MANY == len(reachable([0], dependencies))


def test_a_long_circle() -> None:
    """A circle of 100 000 is found, once."""
    dependencies = [[(node + 1) % MANY] for node in range(MANY)]
    assert [list(range(MANY))] == circles(dependencies, order(dependencies))
