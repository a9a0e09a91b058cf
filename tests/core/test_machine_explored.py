"""The machine, in everything that can happen to it; the invariants are in `driver`."""

from __future__ import annotations

import os

import pytest

from tests.core.explorer import explore
from tests.core.graphs import Graph, graphs

IN_DEPTH = bool(os.environ.get("LIFECYCLE_EXPLORE"))
"""Whether to look far longer: hours instead of half a minute."""


def each(size: int) -> pytest.MarkDecorator:
    """Run a test once for every graph of a size; of the larger ones in which all hangs together."""
    skip = pytest.mark.skipif(not IN_DEPTH, reason="takes hours: set LIFECYCLE_EXPLORE")
    if size > 3 and not IN_DEPTH:
        return skip
    chosen = [graph for graph in graphs(size) if size < 3 or IN_DEPTH or graph.is_connected]
    return pytest.mark.parametrize("graph", chosen, ids=str)


@each(1)
def test_one_component(graph: Graph) -> None:
    """Whatever happens, however often, in whichever order: the invariants hold."""
    assert explore(graph, most=1_000, holds=2)


@each(2)
def test_two_components(graph: Graph) -> None:
    """The same with two components, for up to 2 failures, holds, crashes and so on in one run."""
    assert explore(graph, most=1_000 if IN_DEPTH else 2)


@each(3)
def test_three_components(graph: Graph) -> None:
    """The same with three, for any one."""
    assert explore(graph, most=3 if IN_DEPTH else 1)


@each(4)
def test_four_components(graph: Graph) -> None:
    """The same with four, for any one."""
    assert explore(graph, most=1)
