"""A legal engine for the machine: says what may be said, takes in what comes out, and looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lifecycle._core import commands as c
from lifecycle._core.machine import Machine
from lifecycle.states import Phase
from tests.core.explorer.facts import Action, may_be_said
from tests.core.explorer.invariants import look
from tests.core.explorer.memory import copied
from tests.core.explorer.orders import BrokenError, check, take
from tests.core.explorer.progress import check_progress, in_flight, progress
from tests.core.explorer.view import (
    ENDED,
    EXPIRED,
    GONE,
    HOOK,
    NONE,
    OVER,
    READY,
    RUNNING,
    RUNS,
    STOPPED,
    SYSTEM,
    WAITS,
    WRITTEN_OFF,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle._core.commands import Command
    from tests.core.explorer.graphs import Graph


class Driver:
    """One machine, and the engine's view of it."""

    def __init__(self, graph: Graph, *, holds: int = 1) -> None:
        """Begin a run, with at most so many pieces of work in flight for each component."""
        self.view = View(graph)
        self.machine = Machine(graph.nodes())
        self.most_holds = holds
        self.said: tuple[Action, ...] = ()
        self.come = progress(self.view), in_flight(self.view)

    def clone(self) -> Driver:
        """Copy it, with its machine."""
        twin = object.__new__(Driver)
        twin.view = copied(self.view)
        twin.machine = copied(self.machine)
        twin.most_holds = self.most_holds
        twin.said = self.said
        twin.come = self.come
        return twin

    def actions(self) -> list[Action]:
        """All that may be said now."""
        takes_work = self.machine.accepts_work
        found = may_be_said(self.view, takes_work=takes_work, most_holds=self.most_holds)
        waits = self.view.phase in (Phase.RUNNING, Phase.CLOSED)
        check(waits or any(action.comes.is_due for action in found), "there is no way on")
        return found

    def say(self, action: Action) -> None:
        """Say it, and see what comes of it.

        Raises:
            BrokenError: an invariant broke, or the machine did not take what was said.

        """
        self.said += (action,)
        view, before = self.view, self.come
        saying: Callable[..., None] = getattr(self, f"_{action.name}")
        try:
            if action.who is None:
                saying()
            else:
                saying(action.who)
            look(view, self.machine)
            self.come = progress(view), in_flight(view)
            check_progress(action, before, self.come)
        except Exception as error:
            told = ", ".join(map(str, self.said))
            raise BrokenError(f"{view.graph}: {told}: {error}") from error

    def _obey(self, orders: Sequence[Command]) -> None:
        take(self.view, orders)
        for command in orders:
            if isinstance(command, c.CancelBody) and self.view.body == WAITS:
                self._body_given_up()
            elif command == c.Enter(Phase.RUNNING) and self.view.body == NONE:
                self._body_begins()

    def _ends(self, why: str) -> None:
        """Something begins the end, unless something did so before."""
        view = self.view
        if view.began_by is None:
            view.began_by = why
            failed, crashed = why == "failed", why == "crashed"
            view.verdict = attrs.evolve(view.verdict, start_failed=failed, crashed=crashed)

    # --- the start -----------------------------------------------------------------------------

    def _begin(self) -> None:
        self.view.began = True
        self._obey(self.machine.begin())

    def _preflight_failed(self) -> None:
        self._ends("failed")
        self._obey(self.machine.preflight_failed())

    def _started(self, who: int) -> None:
        self.view.start[who] = READY
        self._obey(self.machine.started(who))

    def _start_failed(self, who: int) -> None:
        self._has_failed(who, GONE)
        self._obey(self.machine.start_failed(who))

    def _start_expired(self, who: int) -> None:
        self._has_failed(who, EXPIRED)
        self._obey(self.machine.start_failed(who, unwinding=True))

    def _has_failed(self, who: int, start: str) -> None:
        self.view.start[who] = start
        self.view.failed[who] = True
        if not self.view.graph.optional[who]:
            self._ends("failed")

    def _start_asked_for_the_end(self, who: int) -> None:
        self._shut_down()
        self._unwound(who)

    def _unwound(self, who: int) -> None:
        self.view.start[who] = GONE
        self._obey(self.machine.unwound(who))

    # --- the run -------------------------------------------------------------------------------

    def _crashed(self, who: int) -> None:
        view = self.view
        view.crashed[who] = True
        if view.drain[who] == HOOK:
            view.drain[who] = ENDED
            view.hook_goes_on[who] = True
        if view.graph.optional[who]:
            said = self.machine.crashed(who)
            check(c.CancelBody() not in said, "the crash of what is optional cancels the body")
        else:
            if view.asked and not view.lost:
                view.lost = True
                view.verdict = attrs.evolve(view.verdict, incomplete=True)
            self._ends("crashed")
            if view.phase in RUNNING and view.body_is_there:
                view.awaits_body = True
            said = self.machine.crashed(who)
            check(view.body_is_there is (c.CancelBody() in said), "a crash cancels the body")
        self._obey(said)

    def _held(self, who: int) -> None:
        self.view.holds[who] += 1
        self.machine.held(None if who == SYSTEM else who)

    def _released(self, who: int) -> None:
        self.view.holds[who] -= 1
        self.view.cut_holds[who] = max(0, self.view.cut_holds[who] - 1)
        self._obey(self.machine.released(None if who == SYSTEM else who))

    def _work_written_off(self, who: int) -> None:
        """The time of what was cut is over: of one component, or, `SYSTEM`, of everyone."""
        self.view.cut[who] = WRITTEN_OFF
        for owner in (*self.view.everyone, SYSTEM):
            while self.view.cut_holds[owner]:
                self._released(owner)
        self._obey(self.machine.work_written_off(None if who == SYSTEM else who))

    # --- the drain -----------------------------------------------------------------------------

    def _drained(self, who: int) -> None:
        self.view.drain[who] = ENDED
        self._obey(self.machine.drained(who))

    def _drained_late(self, who: int) -> None:
        # The hook of what has crashed meanwhile: it is waited for no longer.
        self.view.hook_goes_on[who] = False
        check(self.machine.drained(who) == [], "the hook of what has crashed is waited for")

    def _drain_timed_out(self, who: int) -> None:
        view = self.view
        view.timed_out[who] = True
        view.lost = view.lost or view.drain[who] == HOOK or bool(view.holds[who])
        self._obey(self.machine.drain_timed_out(who))

    def _drain_over(self) -> None:
        self._time_is_over()
        self._obey(self.machine.drain_over())

    def _time_is_over(self) -> None:
        view = self.view
        if not view.over and not view.closing:
            view.over = True
            view.awaits_body = False
            view.lost = view.lost or view.in_flight() or HOOK in view.drain

    # --- the end -------------------------------------------------------------------------------

    def _shut_down(self) -> None:
        self._ends("asked")
        self._obey(self.machine.shut_down(delay=False))
        check(self.view.phase not in RUNNING, "nobody asked for a delay")

    _delay_over = _shut_down

    def _shut_down_with_delay(self) -> None:
        self._ends("asked")
        delays = self.view.phase in RUNNING
        self._obey(self.machine.shut_down(delay=True))
        check((self.view.phase is Phase.DELAYING) is delays, "a delay is for what runs")

    def _force(self) -> None:
        self._ends("asked")
        self.view.forced = True
        self.view.verdict = attrs.evolve(self.view.verdict, forced_by=2)
        self._time_is_over()
        self._obey(self.machine.force())

    def _stopped(self, who: int) -> None:
        self.view.stop[who] = STOPPED
        self._obey(self.machine.stopped(who))

    def _closed(self) -> None:
        self._obey(self.machine.closed())
        check(self.view.phase is Phase.CLOSED, "closed, and still not")

    # --- the body ------------------------------------------------------------------------------

    def _body_begins(self) -> None:
        self.view.body = RUNS
        self.view.body_in_flight = True
        self._obey(self.machine.body_began())

    def _body_will_not_begin(self) -> None:
        self.view.body = OVER
        self._obey(self.machine.body_ended())
        self._shut_down()

    def _body_ended(self) -> None:
        self.view.body = OVER
        self.view.body_in_flight = False
        self.view.awaits_body = False
        self._obey(self.machine.body_ended())
        self._shut_down()

    def _body_written_off(self) -> None:
        self.view.body_in_flight = False
        self._obey(self.machine.body_waits())

    def _body_waits(self) -> None:
        self.view.body = WAITS
        if self.view.body_in_flight:
            self._body_written_off()

    def _body_goes_on(self) -> None:
        self.view.body = RUNS
        if self.machine.accepts_work:
            self.view.body_in_flight = True
            self._obey(self.machine.body_goes_on())

    def _body_given_up(self) -> None:
        self.view.body_was_given_up = True
        self.view.awaits_body = False
        self._obey(self.machine.body_given_up())
