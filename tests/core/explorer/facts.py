"""What a legal engine may say in a given situation.

It is more than the engine of today ever says: each way in which a hook can end is possible at any
time, every deadline may pass at any time, and so are crashes, new work, and requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lifecycle.states import Phase
from tests.core.explorer.view import (
    CANCELLED,
    CUT,
    DRAINS,
    ENDED,
    EXPIRED,
    HOOK,
    IDLE,
    NONE,
    RUNS,
    STARTING,
    STOPPING,
    SYSTEM,
    WAITS,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = "abcdefghij"


class Comes(NamedTuple):
    """Why a fact comes that may come."""

    in_peace: bool
    """Whether it comes where everything goes as it should."""
    is_due: bool
    """Whether it comes at the latest by a deadline of the engine's, even where no hook, no work
    and no body ever ends by itself."""


ENDS_BY_ITSELF = Comes(in_peace=True, is_due=False)
COMES = Comes(in_peace=True, is_due=True)
AT_A_DEADLINE = Comes(in_peace=False, is_due=True)
PERHAPS = Comes(in_peace=False, is_due=False)


class Action(NamedTuple):
    """Something that the engine may say now: a method of `Driver`, and about whom."""

    name: str
    who: int | None
    comes: Comes

    def __str__(self) -> str:
        """Write it as a call."""
        if self.who is None:
            return f"{self.name}()"
        return f"{self.name}({'system' if self.who == SYSTEM else NAMES[self.who]})"


def may_be_said(view: View, *, takes_work: bool, most_holds: int) -> list[Action]:
    """All that may be said now; at most so many pieces of work are in flight for each."""
    found = [Action(*one) for who in view.everyone for one in _of_component(view, who)]
    found += [Action(*one) for one in _of_work(view, most_holds if takes_work else 0)]
    found += [Action(name, None, comes) for name, comes in _of_body(view)]
    found += [Action(name, None, comes) for name, comes in _of_all(view)]
    return found


def _of_component(view: View, who: int) -> Iterator[tuple[str, int, Comes]]:
    start = view.start[who]
    if start == STARTING:
        yield "started", who, ENDS_BY_ITSELF
        yield "start_failed", who, PERHAPS
        yield "start_expired", who, AT_A_DEADLINE
        yield "start_asked_for_the_end", who, PERHAPS
    elif start == CANCELLED:
        yield "started", who, PERHAPS
        yield "start_failed", who, PERHAPS  # a function that asked for the end, and then raised
        yield "unwound", who, COMES
    elif start == EXPIRED:
        yield "unwound", who, COMES
    elif view.is_alive(who):
        yield from _of_what_is_ready(view, who)


def _of_what_is_ready(view: View, who: int) -> Iterator[tuple[str, int, Comes]]:
    drain, stop = view.drain[who], view.stop[who]
    if drain == HOOK:
        yield "drained", who, COMES if view.cut_hook[who] else ENDS_BY_ITSELF
    if view.hook_goes_on[who]:
        yield "drained_late", who, PERHAPS
    if drain in (HOOK, ENDED) and not view.timed_out[who] and stop == IDLE:
        yield "drain_timed_out", who, PERHAPS  # not every component has a deadline of its own
    if stop == STOPPING:
        yield "stopped", who, COMES
    if not view.crashed[who] and (stop == IDLE or view.drains_in_stop[who]):
        yield "crashed", who, PERHAPS


def _of_work(view: View, most_holds: int) -> Iterator[tuple[str, int, Comes]]:
    for who in (*view.everyone, SYSTEM):
        # Whose own time to drain is over takes no more, or its drain would have no end.
        if view.holds[who] < most_holds and (who == SYSTEM or not view.timed_out[who]):
            yield "held", who, PERHAPS
        if view.holds[who]:
            yield "released", who, ENDS_BY_ITSELF
        if view.cut[who] == CUT:
            yield "work_written_off", who, COMES


def _of_body(view: View) -> Iterator[tuple[str, Comes]]:
    if view.body == NONE and not view.ran:
        yield "body_will_not_begin", PERHAPS
    elif view.body == RUNS:
        yield "body_ended", ENDS_BY_ITSELF
        yield "body_waits", PERHAPS
        if view.body_in_flight and view.body_was_cut:
            yield "body_written_off", COMES
        elif view.body_in_flight and view.winds_down:
            yield "body_written_off", PERHAPS  # by the limit of what belongs to no component
    elif view.body == WAITS:
        # It wakes when all is closed, which nobody has to wait for here.
        yield "body_ended", PERHAPS
        yield "body_goes_on", PERHAPS
    if view.body_is_there and view.body_was_cancelled and not view.body_was_given_up:
        yield "body_given_up", COMES


def _of_all(view: View) -> Iterator[tuple[str, Comes]]:
    if view.phase is Phase.PREFLIGHT:
        yield "begin", COMES
    if not view.began:
        yield "preflight_failed", PERHAPS
    if view.phase not in DRAINS and not view.closing:  # after that, see `invariants`
        yield "shut_down", PERHAPS
        yield "shut_down_with_delay", PERHAPS
    yield "force", PERHAPS
    if view.phase is Phase.DELAYING:
        yield "delay_over", COMES
    if view.winds_down and not view.over:
        yield "drain_over", AT_A_DEADLINE
    if view.settled and view.phase is not Phase.CLOSED:
        yield "closed", COMES
