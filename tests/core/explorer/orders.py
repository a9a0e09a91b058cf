"""What comes out of the machine, taken in one by one: each command has to fit when it comes.

* **order**: nothing starts before everything that it depends on is settled; nothing drains, and
  nothing stops, before everything that depends on it has.
* **once**: each component is started or skipped, once; drained at most once; stopped exactly once
  if it became ready, and never otherwise.
* **drained before closed**: no stop before every drain hook has ended and nothing is in flight; and
  before all have drained, unless the time for that is over.
* **cut**: nothing is cut while there is time, nothing twice, and no hook before its work.
* **crash**: what crashed is not asked to drain. The body is cancelled, and the drain begins when it
  has ended.
* **force**: no drain hook is called any more.
* **nothing leaked**: when all has settled no start unwinds, no hook runs, nothing is in flight.
* **ties**: what may start at the same time does so in the order of registration; what may drain or
  stop at the same time, in the reverse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from lifecycle._core import commands as c
from lifecycle.states import Phase
from tests.core.explorer.view import (
    CANCELLED,
    CUT,
    DRAINED,
    DRAINS,
    ENDED,
    HOOK,
    IDLE,
    NOT_CUT,
    READY,
    SKIPPED,
    STARTING,
    STARTS,
    STOPPING,
    SYSTEM,
    UNDER_WAY,
    UNSETTLED,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle._core.commands import Command


class BrokenError(AssertionError):
    """The machine broke an invariant."""


def check(holds: object, *what: object) -> None:
    """Raise where an invariant does not hold; `what` is put into words only then."""
    if not holds:
        raise BrokenError(" ".join(map(str, what)))


def take(view: View, orders: Sequence[Command]) -> None:
    """Take in what the machine has said to one fact."""
    for command in orders:
        check(not view.settled or command == c.Enter(Phase.CLOSED), command, "after the end")
        _TAKEN[type(command)](view, command)
    if len(orders) > 1:
        _check_ties(orders)


def _check_ties(orders: Sequence[Command]) -> None:
    for kind in (c.Start, c.Drain, c.Stop):
        said = [order.component for order in orders if isinstance(order, kind)]
        check(said == sorted(said, reverse=kind is not c.Start), kind.__name__, said, ": order")


# --- the start ----------------------------------------------------------------------------------


def _start(view: View, command: c.Start) -> None:
    who = command.component
    check(view.start[who] == IDLE, command, "twice, or after a skip")
    check(view.phase is Phase.STARTING, command, "in", view.phase)
    for other in view.graph.dependencies[who]:
        check(view.start[other] not in UNSETTLED, command, "before", other, "was settled")
    for other in view.graph.requires[who]:
        ready = view.start[other] == READY and not view.crashed[other]
        check(ready, command, "without", other)
    view.start[who] = STARTING


def _skip(view: View, command: c.Skip) -> None:
    who, because_of = command
    check(view.start[who] == IDLE, command, "twice, or after a start")
    required = view.graph.requires[who]
    if because_of is None:
        check(view.asked, command, ", but nothing was given up")
        # The crash of what is optional does not give the start up, and may go without saying.
        lost = [
            d for d in required
            if view.failed[d] or (view.crashed[d] and not view.graph.optional[d])
        ]  # fmt: skip
        check(not lost, command, ", and not because of", lost)
    else:
        failed = view.failed[because_of] or view.crashed[because_of]
        check(failed, command, ", which has not failed")
        blamed = [d for d in required if view.blame[d] == because_of]
        check(because_of in required or blamed, command, ", which it does not require")
    view.start[who] = SKIPPED
    view.blame[who] = because_of


def _cancel(view: View, command: c.Cancel) -> None:
    check(view.start[command.component] == STARTING, command, ": it is not starting")
    check(view.asked, command, ", but nothing was given up")
    view.start[command.component] = CANCELLED


# --- the drain ----------------------------------------------------------------------------------


def _drain(view: View, command: c.Drain) -> None:
    who = command.component
    check(view.start[who] == READY, command, ": it is not ready")
    check(view.drain[who] == IDLE, command, "twice")
    check(not view.crashed[who], command, "after a crash")
    check(view.winds_down, command, "in", view.phase)
    check(not view.over, command, "when the time for that is over")
    check(not view.awaits_body, command, "before the body has ended")
    _check_dependents_drained(view, command)
    view.drain[who] = HOOK


def _has_drained(view: View, command: c.HasDrained) -> None:
    who = command.component
    check(view.start[who] == READY, command, ": it was never ready")
    if view.drain[who] == IDLE:
        # Its turn came in silence, and maybe before the time for that was over.
        check(view.crashed[who], command, ", and was not asked to")
        _check_dependents_drained(view, command)
    else:
        check(view.drain[who] == ENDED, command, ", and its hook runs, or twice")
    check(not view.holds[who], command, "with work in flight")
    view.drain[who] = DRAINED


def _check_dependents_drained(view: View, command: c.Drain | c.HasDrained) -> None:
    for other in view.graph.dependents[command.component]:
        check(view.has_drained(other), command, "before", other)


def _cut_work(view: View, command: c.CutWork) -> None:
    who = command.component
    if who is None:
        check(view.over, command, "while there is time")
        check(any(view.holds), command, "of nothing")
        check(view.cut[SYSTEM] == NOT_CUT, command, "twice")
        view.cut_holds = view.holds.copy()
        view.cut[SYSTEM] = CUT
    else:
        check(view.timed_out[who], command, "while there is time")
        check(view.holds[who], command, "of nothing")
        check(view.cut[who] == NOT_CUT, command, "twice")
        view.cut_holds[who] = view.holds[who]
        view.cut[who] = CUT
    _lose(view)


def _cut_body(view: View, command: c.CutBody) -> None:
    check(view.over, command, "while there is time")
    check(view.body_in_flight, command, ", and it is not in flight")
    check(not any(view.holds), command, "before the work was cut")
    check(not view.body_was_cut, command, "twice")
    view.body_was_cut = True
    _lose(view)


def _cut_drain(view: View, command: c.CutDrain) -> None:
    who = command.component
    check(view.drain[who] == HOOK, command, ": no hook runs")
    check(not view.cut_hook[who], command, "twice")
    check(view.over or view.timed_out[who], command, "while there is time")
    check(not view.holds[who], command, "before its work was cut")
    view.cut_hook[who] = True
    _lose(view)


def _lose(view: View) -> None:
    """What was cut off counts."""
    if not view.verdict.incomplete:
        view.verdict = attrs.evolve(view.verdict, incomplete=True)


# --- the close ----------------------------------------------------------------------------------


def _stop(view: View, command: c.Stop) -> None:
    who = command.component
    check(view.start[who] == READY, command, ": it was never ready")
    check(view.stop[who] == IDLE, command, "twice")
    _check_closing(view, command)
    for other in view.graph.dependents[who]:
        check(view.has_ended(other), command, "before", other)
    drain = view.drain[who] == IDLE and not view.crashed[who] and not view.forced
    check(command.drain is drain, command, ": it should be", drain)
    view.stop[who] = STOPPING
    view.drains_in_stop[who] = drain


def _enter(view: View, command: c.Enter) -> None:
    phase = command.phase
    check((view.phase, phase) in _STEPS, command, "after", view.phase)
    if phase is Phase.RUNNING:
        check(not set(view.start) & UNSETTLED, command, "before all are settled")
        view.ran = True
    elif phase is not Phase.STARTING:
        check(view.asked, command, ", and nobody asked for it")
    if phase is Phase.ROLLING_BACK:
        check(view.began_by == "failed", command, ", and no start failed")
    elif phase in DRAINS and view.phase in STARTS:
        check(view.began_by != "failed", command, ", and a start failed")
    view.phase = phase
    if phase is Phase.CLOSING:
        begin_to_close(view, str(command))


def _check_closing(view: View, command: Command) -> None:
    # In a rollback the close is no phase of its own.
    if not view.closing and view.phase is Phase.ROLLING_BACK:
        begin_to_close(view, str(command))
    check(view.closing, command, "before the close")


def begin_to_close(view: View, said: str) -> None:
    """From here on components are stopped."""
    check(HOOK not in view.drain, said, "while something drains")
    check(not view.in_flight(), said, "with work in flight")
    check(not view.awaits_body, said, "before the body has ended")
    check(view.over or view.all_drained(), said, "before all have drained")
    view.closing = True


def _settled(view: View, command: c.Settled) -> None:
    _check_closing(view, command)
    check(not set(view.start) & UNDER_WAY, command, "while something unwinds")
    check(all(map(view.has_ended, view.everyone)), command, "while something runs")
    view.settled = True


def _cancel_body(view: View, command: c.CancelBody) -> None:
    check(view.body_is_there, command, ", and there is none")
    check(any(view.crashed), command, ", and nothing crashed")
    view.body_was_cancelled = True


_STEPS = {
    (Phase.PREFLIGHT, Phase.STARTING),
    (Phase.PREFLIGHT, Phase.DRAINING),
    (Phase.PREFLIGHT, Phase.ROLLING_BACK),
    (Phase.STARTING, Phase.RUNNING),
    (Phase.STARTING, Phase.DRAINING),
    (Phase.STARTING, Phase.ROLLING_BACK),
    (Phase.RUNNING, Phase.DELAYING),
    (Phase.RUNNING, Phase.DRAINING),
    (Phase.DELAYING, Phase.DRAINING),
    (Phase.DRAINING, Phase.CLOSING),
    (Phase.CLOSING, Phase.CLOSED),
    (Phase.ROLLING_BACK, Phase.CLOSED),
}

_TAKEN: dict[type, Callable[[View, Any], None]] = {
    c.Start: _start,
    c.Skip: _skip,
    c.Cancel: _cancel,
    c.Drain: _drain,
    c.HasDrained: _has_drained,
    c.CutWork: _cut_work,
    c.CutBody: _cut_body,
    c.CutDrain: _cut_drain,
    c.Stop: _stop,
    c.Enter: _enter,
    c.Settled: _settled,
    c.CancelBody: _cancel_body,
}
