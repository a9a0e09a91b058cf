"""Who depends on whom, looked at from both ends. It never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._core.component import Node


class Edges:
    """The edges of a plan, by the index of the node."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Turn them round once, so that nothing is ever searched for."""
        self.size = len(nodes)
        self.requires = [node.requires for node in nodes]
        self.dependencies = [node.dependencies for node in nodes]
        """Whatever the kind of the edge; each once, in the order given."""
        self.dependents: list[list[int]] = [[] for _ in nodes]
        self.required_by: list[list[int]] = [[] for _ in nodes]
        for node in nodes:
            for dependency in node.dependencies:
                self.dependents[dependency].append(node.index)
            for dependency in dict.fromkeys(node.requires):
                self.required_by[dependency].append(node.index)
