"""The machine: what happened goes in, what is to be done comes out.

It decides the order of everything and does none of it. Its rules:

* It counts down. Each component knows how many others it still waits for, and each fact counts
  down those that waited for it. Nothing is ever searched for again.
* A state, of a component or of the system, changes only along the tables.
* A component that became ready is told to stop exactly once, and never before everything that
  uses it has ended.

Components are known by their index; dependencies have smaller indices than their dependents.

Here is what the engine may say, and when one stage of a life gives way to the next. What happens
within a stage is in `starting`, `draining` and `stopping`; none of these knows of the phases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle._core.commands import CancelBody, Command, Enter
from lifecycle._core.draining import Draining
from lifecycle._core.edges import Edges
from lifecycle._core.in_flight import InFlight
from lifecycle._core.ledger import Ledger
from lifecycle._core.starting import Starting
from lifecycle._core.stopping import Stopping
from lifecycle._core.transitions import SYSTEM, Cause, Fact, follow
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._core.component import Node

_BEFORE_RUNNING = frozenset({Phase.PREFLIGHT, Phase.STARTING})
_BEFORE_THE_DRAIN = frozenset({*_BEFORE_RUNNING, Phase.RUNNING, Phase.DELAYING})
_DRAINING = frozenset({Phase.DRAINING, Phase.ROLLING_BACK})


class Machine:
    """One run of a plan, as a matter of pure logic."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Nothing has happened."""
        self.phase = Phase.PREFLIGHT
        self._optional = tuple(node.optional for node in nodes)
        self._edges = Edges(nodes)
        self._ledger = Ledger(self._edges)
        self._in_flight = InFlight(self._edges.size)
        self._starting = Starting(self._ledger)
        self._draining = Draining(self._ledger, self._in_flight)
        self._stopping = Stopping(self._ledger, self._draining)

    # --- what the engine may ask ---------------------------------------------------------------

    @property
    def states(self) -> Sequence[State]:
        """Where each component stands."""
        return self._ledger.states

    @property
    def blame(self) -> dict[int, int]:
        """For what was skipped: the component that failed and that it requires, however far off."""
        return self._starting.blame

    @property
    def closing(self) -> bool:
        """Whether components are being stopped, in a rollback too."""
        return self._stopping.has_begun

    @property
    def has_drained(self) -> bool:
        """Whether the close waits for nothing any more, or for the body alone."""
        return self.phase in _DRAINING and self._draining.is_over_but_for_the_body

    @property
    def accepts_work(self) -> bool:
        """Whether work may be taken in: from the start until the end of the drain."""
        return not (self._stopping.has_begun or self._draining.time_is_over)

    def is_cut(self, component: int) -> bool:
        """Whether its own time to drain has run out."""
        return self._draining.has_no_time(component)

    def unsettled_dependencies(self, component: int) -> list[int]:
        """What a pending component still waits for."""
        waiting = (State.PENDING, State.STARTING)
        return [d for d in self._edges.dependencies[component] if self.states[d] in waiting]

    # --- facts: the start ----------------------------------------------------------------------

    def begin(self) -> list[Command]:
        """The preflight checks passed."""
        self._enter(Cause.BEGIN)
        self._starting.begin()
        return self._go_on()

    def preflight_failed(self) -> list[Command]:
        """A preflight check or a companion failed: nothing is started."""
        if self.phase is Phase.PREFLIGHT:
            self._wind_down(Cause.START_FAILED)
        return self._go_on()

    def started(self, component: int) -> list[Command]:
        """A start hook has ended well; also where its cancellation came too late."""
        self._ledger.is_ready(component)
        if self._stopping.has_begun:
            self._stopping.stop(component)
        elif self.phase in _DRAINING:
            self._draining.is_ready_too_late(component)
        else:
            self._starting.settle(component)
        return self._go_on()

    def start_failed(self, component: int, *, unwinding: bool = False) -> list[Command]:
        """A start hook raised, or has run out of time and, `unwinding`, is being cancelled."""
        self._ledger.move(component, Fact.START_FAILED)
        self._ledger.unwinding[component] = unwinding
        if self.phase is not Phase.STARTING:
            self._let_go(component)
        elif self._optional[component]:
            self._starting.settle(component)
        else:
            self._wind_down(Cause.START_FAILED, component)
        return self._go_on()

    def unwound(self, component: int) -> list[Command]:
        """A start hook that was cancelled has ended, or was abandoned."""
        self._ledger.move(component, Fact.UNWOUND)
        self._ledger.unwinding[component] = False
        self._let_go(component)
        return self._go_on()

    # --- facts: the run ------------------------------------------------------------------------

    def crashed(self, component: int) -> list[Command]:
        """A component ended by itself. It keeps its resources until its turn to stop."""
        self._ledger.move(component, Fact.CRASHED)
        self._draining.hook_has_ended(component)
        if not self._optional[component]:
            if self._in_flight.body_is_there:
                self._ledger.say(CancelBody())
            if self.phase in _BEFORE_THE_DRAIN:
                self._draining.awaits_body = self._in_flight.body_is_there
                self._wind_down(Cause.DRAIN, component)
        return self._go_on()

    def body_began(self) -> list[Command]:
        """The body of ``running`` begins; it is in flight."""
        self._in_flight.body_is_there = self._in_flight.body = True
        return self._go_on()

    def body_waits(self) -> list[Command]:
        """The body does nothing but wait for the end, or was cut and is waited for no longer."""
        self._in_flight.body = False
        return self._go_on()

    def body_goes_on(self) -> list[Command]:
        """The body waits no longer: it is in flight again."""
        self._in_flight.body = True
        return self._go_on()

    def body_given_up(self) -> list[Command]:
        """The body was cancelled after a crash, and goes on: drain without it."""
        if self._draining.awaits_body:
            self._draining.awaits_body = False
            self._draining.go_on()
        return self._go_on()

    def body_ended(self) -> list[Command]:
        """The body has ended."""
        self._in_flight.body_is_there = self._in_flight.body = False
        return self.body_given_up()

    def held(self, component: int | None) -> None:
        """A piece of work was taken in: of a component, or of the system."""
        self._in_flight.count(component, 1)

    def released(self, component: int | None) -> list[Command]:
        """A piece of work has ended, or was written off."""
        self._in_flight.count(component, -1)
        if component is not None:
            self._draining.work_has_changed(component)
        return self._go_on()

    def work_written_off(self, component: int | None) -> list[Command]:
        """The time that work had to end, after it was cut, is over: of one, or of everyone.

        Hooks are cut only now, and not when the work has ended: the hook that the work was in must
        be able to handle that it was cut.
        """
        if component is None:
            self._draining.cut_hooks()
        else:
            self._draining.cut_hook(component)
        return self._go_on()

    # --- facts: the shutdown -------------------------------------------------------------------

    def shut_down(self, *, delay: bool) -> list[Command]:
        """Someone asked for it. A second time changes nothing, but may end the delay."""
        if delay and self.phase is Phase.RUNNING:
            self._enter(Cause.DELAY)
        elif self.phase in (_BEFORE_RUNNING if delay else _BEFORE_THE_DRAIN):
            self._wind_down(Cause.DRAIN)
        return self._go_on()

    def drained(self, component: int) -> list[Command]:
        """A drain hook has ended, in whichever way, or was abandoned."""
        self._draining.hook_has_ended(component)
        return self._go_on()

    def drain_timed_out(self, component: int) -> list[Command]:
        """One component has used up its own time to drain."""
        self._draining.cut(component)
        return self._go_on()

    def drain_over(self) -> list[Command]:
        """The time to drain has run out for all."""
        if self.phase in _DRAINING and self.accepts_work:
            self._draining.cut_everything()
        return self._go_on()

    def force(self) -> list[Command]:
        """No drain any more, whatever is under way; stops follow at once."""
        self._stopping.may_drain = False
        if self.accepts_work:
            self._draining.time_is_over = True  # before it begins: nothing is asked to
            if self.phase in _BEFORE_THE_DRAIN:
                self._wind_down(Cause.DRAIN)
            self._draining.cut_everything()
        return self._go_on()

    def stopped(self, component: int) -> list[Command]:
        """A stop hook has ended, in whichever way, or was abandoned."""
        self._ledger.move(component, Fact.STOPPED)
        self._ledger.alive[component] = False
        self._let_go(component)
        return self._go_on()

    def closed(self) -> list[Command]:
        """The companions have ended too."""
        self._enter(Cause.CLOSED)
        return self._go_on()

    # --- from one stage to the next ------------------------------------------------------------

    def _wind_down(self, cause: Cause, because_of: int | None = None) -> None:
        """The end begins: start nothing more, and drain what is ready."""
        self._enter(cause)
        self._starting.give_up(because_of)
        self._draining.begin()

    def _let_go(self, component: int) -> None:
        """A component has ended: what it used need not wait for it any longer."""
        if self._stopping.has_begun:
            self._stopping.has_ended(component)
        elif self.phase in _DRAINING:
            self._draining.has_unwound(component)

    def _go_on(self) -> list[Command]:
        """Leave a stage that is over, and say what is to be done."""
        if self.phase is Phase.STARTING and self._starting.is_over:
            self._enter(Cause.ALL_SETTLED)
        elif self.phase in _DRAINING and not self._stopping.has_begun and self._draining.is_over:
            self._enter(Cause.CLOSE)
            self._stopping.begin()
        return self._ledger.take()

    def _enter(self, cause: Cause) -> None:
        phase = follow(SYSTEM, self.phase, cause)
        if phase is not self.phase:
            self.phase = phase
            self._ledger.say(Enter(phase))
