"""What holds after each step, and what should have come out by then.

* **promptness**: whatever may start, drain, close, stop or settle has been told to; nothing waits
  for a deadline that nobody needs.
* **cut**: when time is over, all that is still waited for was told to end, work before hooks.
* **holds**: a component with work in flight has not drained; work is taken until the drain is over.
* **again**: whoever asks for the end when it has begun, or cuts when all is cut, changes nothing.
* **states**: the machine's states, phase and answers are those that follow from what was said.
* **outcome**: it is the one word for what began the end, and for what was lost after that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.states import Outcome, Phase, State
from tests.core.explorer.orders import begin_to_close, check
from tests.core.explorer.view import (
    CANCELLED,
    CUT,
    DRAINED,
    ENDED,
    GONE,
    HOOK,
    IDLE,
    READY,
    SKIPPED,
    STARTING,
    STARTS,
    STOPPED,
    SYSTEM,
    UNSETTLED,
    View,
)

if TYPE_CHECKING:
    from lifecycle._core.machine import Machine


def look(view: View, machine: Machine) -> None:
    """Look at everything.

    Raises:
        BrokenError: something is not as it should be.

    """
    if machine.closing and not view.closing:
        check(view.phase is Phase.ROLLING_BACK, "closing in silence")
        begin_to_close(view, "closing")
    _look_at_answers(view, machine)
    if view.phase is Phase.STARTING:
        _look_at_starts(view, machine)
    elif view.winds_down:
        _look_at_drains(view)
    elif view.closing and view.phase is not Phase.CLOSED:
        _look_at_stops(view)
    elif view.phase is Phase.RUNNING:
        check(not view.asked, "asked to shut down, and it runs on")
    if view.phase not in STARTS:
        check(not UNSETTLED.intersection(view.start), "the start was given up, and goes on")
    if view.closing or view.winds_down:
        _ask_again(view, machine)
    _look_at_outcome(view)


def _ask_again(view: View, machine: Machine) -> None:
    check(not machine.shut_down(delay=False), "asked again, it says something")
    check(not machine.shut_down(delay=True), "asked again, it says something")
    if view.over or view.closing:
        check(not machine.drain_over(), "there is nothing left to cut")


def _look_at_answers(view: View, machine: Machine) -> None:
    check(machine.phase is view.phase, "phase is wrong")
    check(machine.closing is view.closing, "closing is wrong")
    check(machine.states == [_state_of(view, who) for who in view.everyone], "states are wrong")
    for who in view.everyone:
        check(True, "")
        check(machine.is_cut(who) is view.timed_out[who], "is_cut(", who, ") is wrong")
    takes_work = not (view.closing or view.over)
    check(machine.accepts_work is takes_work, "accepts_work is wrong")
    if not view.closing:
        check(machine.has_drained is _has_drained(view), "has_drained is wrong")
    blamed = {who: other for who, other in enumerate(view.blame) if other is not None}
    check(machine.blame == blamed, "blame is wrong")


def _has_drained(view: View) -> bool:
    """Whether the close waits for nothing, or for the body alone."""
    if not view.winds_down or view.awaits_body or any(view.holds):
        return False
    return HOOK not in view.drain if view.over else view.all_drained()


def _state_of(view: View, who: int) -> State:
    stopped = view.stop[who] == STOPPED
    if view.failed[who] or view.crashed[who]:
        if view.drains_in_stop[who]:
            return State.STOPPED if stopped else State.STOPPING
        return State.FAILED
    if view.start[who] != READY:
        return _STATES_BEFORE[view.start[who]]
    if view.stop[who] != IDLE:
        return State.STOPPED if stopped else State.STOPPING
    return _STATES_DRAINING[view.drain[who]]


def _look_at_starts(view: View, machine: Machine) -> None:
    check(not view.asked, "asked to shut down, and it still starts")
    check(UNSETTLED.intersection(view.start), "all are settled, and it does not run")
    for who in view.everyone:
        if view.start[who] == IDLE:
            waiting = [d for d in view.graph.dependencies[who] if view.start[d] in UNSETTLED]
            check(waiting, who, "could start")
            known = machine.unsettled_dependencies(who)
            check(sorted(waiting) == sorted(known), who, "waits for", waiting, ", not", known)
            lost = any(view.failed[d] or view.start[d] == SKIPPED for d in view.graph.requires[who])
            check(not lost, who, "could be skipped")


def _look_at_drains(view: View) -> None:
    if view.over:
        _look_at_what_was_cut(view)
        return
    for who in view.everyone:
        if view.start[who] == READY and not view.awaits_body:
            _look_at_drain(view, who)
    waits = view.in_flight() or view.awaits_body or not view.all_drained()
    check(waits, "all is drained, and it does not close")


def _look_at_what_was_cut(view: View) -> None:
    check(view.holds == view.cut_holds, "time is over, and work was not cut")
    check(view.in_flight() or HOOK in view.drain, "time is over, and it does not close")
    if view.cut[SYSTEM] != CUT:
        check(not any(view.holds), "time is over, and work was not written off")
        check(view.body_was_cut or not view.body_in_flight, "the body was not cut")
        for who in view.everyone:
            check(view.drain[who] != HOOK or view.cut_hook[who], "hook of", who, "was not cut")


def _look_at_drain(view: View, who: int) -> None:
    drain = view.drain[who]
    if drain == IDLE:
        waits = not all(map(view.has_drained, view.graph.dependents[who]))
        # What crashed has no hook: it has drained as soon as its work has ended.
        check(waits or (view.crashed[who] and view.holds[who]), who, "could drain")
    elif drain == ENDED:
        check(view.holds[who], who, "has drained")
    if view.timed_out[who] and drain != DRAINED:
        if view.holds[who]:
            check(view.cut_holds[who] == view.holds[who], "work of", who, "was not cut")
        elif drain == HOOK and view.cut[who] != CUT:
            check(view.cut_hook[who], "hook of", who, "was not cut")


def _look_at_stops(view: View) -> None:
    for who in view.everyone:
        if view.start[who] == READY and view.stop[who] == IDLE:
            waits = not all(map(view.has_ended, view.graph.dependents[who]))
            check(waits, who, "could stop")
    ended = all(map(view.has_ended, view.everyone))
    check(ended is view.settled, "settled" if view.settled else "it does not settle")


def _look_at_outcome(view: View) -> None:
    if view.forced:
        ought = Outcome.FORCED
    elif view.began_by in _OUTCOMES:
        ought = _OUTCOMES[view.began_by]
    else:
        ought = Outcome.INCOMPLETE if view.lost else Outcome.CLEAN
    check(view.verdict.outcome is ought, "the outcome is", view.verdict.outcome, ", and not", ought)
    check(view.verdict.incomplete is view.lost, "what was lost does not count")


_OUTCOMES = {"failed": Outcome.START_FAILED, "crashed": Outcome.CRASHED}

_STATES_BEFORE = {
    IDLE: State.PENDING,
    STARTING: State.STARTING,
    CANCELLED: State.STARTING,
    GONE: State.STOPPED,
    SKIPPED: State.SKIPPED,
}

_STATES_DRAINING = {
    IDLE: State.READY,
    HOOK: State.DRAINING,
    ENDED: State.DRAINING,
    DRAINED: State.DRAINED,
}
