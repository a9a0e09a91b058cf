"""The machine with more components than can be explored; the invariants are in `explorer`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lifecycle.states import Phase
from tests.core.explorer.driver import Driver
from tests.core.explorer.facts import PERHAPS, Action
from tests.core.explorer.graphs import Graph

MOST = 9


@st.composite
def large_graphs(draw: st.DrawFn) -> Graph:
    """Draw up to nine components that `plan` lets pass."""
    size = draw(st.integers(1, MOST))
    optional = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    hard: list[tuple[int, ...]] = []
    soft: list[tuple[int, ...]] = []
    for who in range(size):
        before = draw(st.sets(st.integers(0, who - 1), max_size=4)) if who else set()
        mine = draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
        required = {d for d in mine if optional[who] or not optional[d]}
        hard.append(tuple(sorted(required)))
        soft.append(tuple(sorted(before - required)))
    return Graph(tuple(hard), tuple(soft), tuple(optional))


class AnyRun(RuleBasedStateMachine):
    """One run of a machine, told by a driver what the engine could tell it."""

    driver: Driver

    @initialize(graph=large_graphs())
    def begin(self, graph: Graph) -> None:
        """Begin a run."""
        self.driver = Driver(graph, holds=2)

    @precondition(lambda self: self.driver.actions())
    @rule(data=st.data())
    def anything(self, data: st.DataObject) -> None:
        """Say anything that can be said."""
        self.driver.say(data.draw(st.sampled_from(self.driver.actions())))

    @precondition(lambda self: self._peaceful())
    @rule(data=st.data())
    def something_peaceful(self, data: st.DataObject) -> None:
        """Go on with what is under way, so that runs get far."""
        self.driver.say(data.draw(st.sampled_from(self._peaceful())))

    @rule()
    def nothing(self) -> None:
        """Say nothing: what can be said may have come to an end."""

    def _peaceful(self) -> list[Action]:
        return [action for action in self.driver.actions() if action.comes.in_peace]

    def teardown(self) -> None:
        """Whatever has happened: asked to end, it does, though no hook and no work ever does."""
        if not hasattr(self, "driver"):
            return
        if self.driver.view.phase in (Phase.PREFLIGHT, Phase.STARTING, Phase.RUNNING):
            self.driver.say(Action("shut_down", None, PERHAPS))
        while self.driver.view.phase is not Phase.CLOSED:
            self.driver.say(next(action for action in self.driver.actions() if action.comes.is_due))


AnyRun.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[*HealthCheck],  # pyright: ignore[reportArgumentType]
)
TestAnyRun = AnyRun.TestCase
