"""Why it always settles: nothing goes back, and whatever is due brings the end nearer.

`progress` counts how far everything has come; it never falls, and it cannot rise for ever. Each
fact that comes by a deadline of the engine's makes it rise, or ends something that is in flight.
So a run in which only such facts come is finite, and it can only end where nothing is due: there,
all is closed (`Driver.actions` checks that something is due everywhere else, unless it runs and
nobody has asked it to end). What else may come changes nothing about that: either it makes
`progress` rise too, or it only takes in, or ends, something that is in flight, and nothing is taken
in once the time to drain is over, which is due as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.states import Phase
from tests.core.explorer.orders import check
from tests.core.explorer.view import (
    CANCELLED,
    DRAINED,
    ENDED,
    EXPIRED,
    GONE,
    HOOK,
    IDLE,
    NONE,
    OVER,
    READY,
    RUNS,
    SKIPPED,
    STARTING,
    STOPPED,
    STOPPING,
    WAITS,
    View,
)

if TYPE_CHECKING:
    from tests.core.explorer.facts import Action

_START = {IDLE: 0, STARTING: 1, CANCELLED: 2, EXPIRED: 2, READY: 3, GONE: 3, SKIPPED: 3}
_DRAIN = {IDLE: 0, HOOK: 1, ENDED: 2, DRAINED: 3}
_STOP = {IDLE: 0, STOPPING: 1, STOPPED: 2}
_BODY = {NONE: 0, RUNS: 1, WAITS: 1, OVER: 2}
_PHASE = {
    Phase.PREFLIGHT: 0,
    Phase.STARTING: 1,
    Phase.RUNNING: 2,
    Phase.DELAYING: 3,
    Phase.DRAINING: 4,
    Phase.ROLLING_BACK: 4,
    Phase.CLOSING: 5,
    Phase.CLOSED: 6,
}


def progress(view: View) -> int:
    """Count how far everything has come."""
    return (
        sum(map(_START.__getitem__, view.start))
        + sum(map(_DRAIN.__getitem__, view.drain))
        + sum(map(_STOP.__getitem__, view.stop))
        + sum(view.crashed)
        + sum(view.timed_out)
        + sum(view.cut_hook)
        + sum(view.cut)
        + _BODY[view.body]
        + view.body_was_cut
        + view.body_was_cancelled
        + view.body_was_given_up
        + _PHASE[view.phase]
        + view.over
        + view.forced
        + view.closing
        + view.settled
    )


def in_flight(view: View) -> int:
    """Count what is in flight."""
    return sum(view.holds) + view.body_in_flight


def check_progress(action: Action, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Hold a step against what `progress` promises; before and after it, with `in_flight`."""
    check(after[0] >= before[0], "something goes back")
    if action.comes.is_due:
        nearer = after[0] > before[0] or after[1] < before[1]
        check(nearer, "what was due brings nothing nearer to its end")
