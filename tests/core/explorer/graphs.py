"""Every graph of a few components, as far as a machine has to know of them."""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING

import attrs

from lifecycle._core.component import Kind, Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NO, SOFT, HARD = range(3)
"""How one component depends on another: not, by `wants` or `after`, by `requires`."""


@attrs.frozen(slots=False)
class Graph:
    """Up to a few components: what `Machine` has to know of them."""

    requires: tuple[tuple[int, ...], ...]
    soft: tuple[tuple[int, ...], ...]
    optional: tuple[bool, ...]

    @property
    def size(self) -> int:
        """How many components there are."""
        return len(self.requires)

    @property
    def is_connected(self) -> bool:
        """Whether every component has to do with every other, directly or not."""
        reached = {0}
        for _ in range(self.size):
            for who, others in enumerate(self.dependencies):
                if reached & {who, *others}:
                    reached |= {who, *others}
        return len(reached) == self.size

    def nodes(self) -> list[Node]:
        """Make the nodes; soft edges are by turns `wants` and `after`, which is all the same."""
        return [
            Node(
                index=index,
                name="abcdefghij"[index],
                handle=object(),
                kind=Kind.FUNCTION,
                requires=self.requires[index],
                wants=self.soft[index][::2],
                after=self.soft[index][1::2],
                optional=self.optional[index],
            )
            for index in range(self.size)
        ]

    @cached_property
    def dependencies(self) -> tuple[tuple[int, ...], ...]:
        """What each starts after and ends before."""
        return tuple((*h, *s) for h, s in zip(self.requires, self.soft, strict=True))

    @cached_property
    def edges(self) -> tuple[tuple[int, int, int], ...]:
        """Each edge: the dependent, the dependency, and its kind."""
        return tuple(
            (one, other, kind)
            for kind, of in ((HARD, self.requires), (SOFT, self.soft))
            for one, others in enumerate(of)
            for other in others
        )

    @cached_property
    def dependents(self) -> tuple[tuple[int, ...], ...]:
        """What each starts before and ends after."""
        return tuple(
            tuple(one for one, before in enumerate(self.dependencies) if other in before)
            for other in range(self.size)
        )

    def __str__(self) -> str:
        """Write it as ``a b?(a) c(b a~)``: optional, requires, wants."""
        names = "abcdefghij"
        return " ".join(
            names[i]
            + "?" * self.optional[i]
            + (
                "(" + " ".join([names[d] for d in hard] + [f"{names[d]}~" for d in soft]) + ")"
                if (hard := self.requires[i]) + (soft := self.soft[i])
                else ""
            )
            for i in range(self.size)
        )


def graphs(size: int, *, each_order: bool = False) -> Iterator[Graph]:
    """Every graph of that size that `plan` lets pass (rule G1).

    Those that differ only in the order of registration are one, unless `each_order` counts.
    """
    seen = set()
    pairs = [(one, other) for one in range(size) for other in range(one)]
    for kinds in itertools.product((NO, SOFT, HARD), repeat=len(pairs)):
        edges = {pair: kind for pair, kind in zip(pairs, kinds, strict=True) if kind}
        for optional in itertools.product((False, True), repeat=size):
            if any(
                kind == HARD and optional[dependency] and not optional[dependent]
                for (dependent, dependency), kind in edges.items()
            ):
                continue
            if each_order:
                yield _graph(edges, optional)
                continue
            form = min(_relabelled(edges, optional, order) for order in _orders(edges, size))
            if form not in seen:
                seen.add(form)
                yield _graph(edges, optional)


def unconnected(size: int) -> Graph:
    """Components that have nothing to do with each other."""
    return Graph(((),) * size, ((),) * size, (False,) * size)


def _orders(edges: dict[tuple[int, int], int], size: int) -> Iterator[tuple[int, ...]]:
    for order in itertools.permutations(range(size)):
        if all(order[dependency] < order[dependent] for dependent, dependency in edges):
            yield order


def _relabelled(
    edges: dict[tuple[int, int], int], optional: Sequence[bool], order: Sequence[int]
) -> tuple[object, ...]:
    renamed = sorted((order[one], order[other], kind) for (one, other), kind in edges.items())
    flags = sorted((order[index], flag) for index, flag in enumerate(optional))
    return (*renamed, *flags)


def _graph(edges: dict[tuple[int, int], int], optional: Sequence[bool]) -> Graph:
    def by(kind: int) -> tuple[tuple[int, ...], ...]:
        return tuple(
            tuple(other for (one, other), k in edges.items() if one == index and k == kind)
            for index in range(len(optional))
        )

    return Graph(by(HARD), by(SOFT), tuple(optional))
