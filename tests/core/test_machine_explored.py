"""The machine, in everything that can happen to it; the invariants are in `explorer`.

What is explored here is all that fits into a test run. `nox -s explore` goes on to four components.
"""

from __future__ import annotations

import random

import pytest

from tests.core.explorer.driver import Driver
from tests.core.explorer.exploring import Exploration
from tests.core.explorer.graphs import Graph, graphs
from tests.core.explorer.situations import key

pytestmark = pytest.mark.rule(
    "G2", "G3", "S2", "S3", "S4", "S6", "R1", "R4", "D2", "D3", "D4", "D5", "D11"
)


@pytest.fixture(scope="module")
def exploration() -> Exploration:
    """What was met by the tests before: it is not looked at again."""
    return Exploration()


@pytest.mark.parametrize("graph", [*graphs(1), *graphs(2)], ids=str)
def test_up_to_two_components(graph: Graph, exploration: Exploration) -> None:
    """Whatever happens, however often, in whichever order: the invariants hold."""
    exploration.explore(graph)


THREE = [graph for graph in graphs(3) if graph.is_connected]


@pytest.mark.parametrize("graph", THREE, ids=str)
def test_three_components(graph: Graph, exploration: Exploration) -> None:
    """The same with three that have to do with each other."""
    exploration.explore(graph)


def test_no_walk_leaves_what_was_explored(exploration: Exploration) -> None:
    """Not where each holds two pieces of work at a time, and whatever the order of registration."""
    for graph in THREE:
        exploration.explore(graph)
    some = random.Random(0)  # noqa: S311  the same walks each time
    each = [graph for graph in graphs(3, each_order=True) if graph.is_connected]
    for graph in some.choices(each, k=300):
        driver = Driver(graph, holds=2)
        while len(driver.said) < 60 and (actions := driver.actions()):
            in_peace = [action for action in actions if action.comes.in_peace]
            driver.say(some.choice(some.choice([actions, in_peace or actions])))
            assert key(driver) in exploration.met, driver.said
