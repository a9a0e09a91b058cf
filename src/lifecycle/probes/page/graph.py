"""What is drawn: the components of a plan, and what each of them needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle import Plan

Kind: TypeAlias = Literal["requires", "wants", "after"]
KINDS: tuple[Kind, ...] = ("requires", "wants", "after")
"""From the strongest to the weakest."""


@attrs.frozen
class Edge:
    """One component needs another; both by their place in the order of start."""

    source: int
    """What is needed. It comes first."""
    target: int
    """Who needs it."""
    kind: Kind = "requires"


@attrs.frozen
class Graph:
    """Components in the order of their start, and the edges between them."""

    names: tuple[str, ...]
    edges: tuple[Edge, ...] = ()
    """Each pair once; what is needed always comes before who needs it, so that there is no circle.
    """

    @classmethod
    def of(cls, plan: Plan) -> Graph:
        """Take from a plan what can be seen of it."""
        return cls(tuple(node.name for node in plan.components), tuple(_edges(plan)))

    def reduced(self) -> Graph:
        """Leave out the edges that follow from others: where c needs b, and b needs a, c's of a."""
        needed: list[set[int]] = [set() for _ in self.names]
        before: list[set[int]] = [set() for _ in self.names]
        for edge in self.edges:
            needed[edge.target].add(edge.source)
        for target, sources in enumerate(needed):
            for source in sources:
                before[target] |= before[source] | {source}
        implied = [
            {far for source in sources for far in before[source]}.intersection(sources)
            for sources in needed
        ]
        kept = tuple(edge for edge in self.edges if edge.source not in implied[edge.target])
        return attrs.evolve(self, edges=kept)


def _edges(plan: Plan) -> Iterator[Edge]:
    for node in plan.components:
        strongest: dict[int, Kind] = {}
        for kind, sources in zip(KINDS, (node.requires, node.wants, node.after), strict=True):
            for source in sources:
                strongest.setdefault(source, kind)
        for source, kind in strongest.items():
            yield Edge(source, node.index, kind)
