"""What every life has to keep, whatever goes wrong in it, and whether one did.

What is known to go wrong, by the faults that were put there, may have its effect: on its own
component, and on the outcome. Everything else is a promise that was broken.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from lifecycle import ExitCode, Outcome, events
from lifecycle.errors import DrainTimeoutError, StopError, one_line, seconds
from lifecycle.testing._transcript import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifecycle.testing._life import Life

_CODES: Final = {
    Outcome.CLEAN: ExitCode.OK,
    Outcome.START_FAILED: ExitCode.UNAVAILABLE,
    Outcome.CRASHED: ExitCode.CRASHED,
    Outcome.INCOMPLETE: ExitCode.INCOMPLETE,
}
_MARGIN: Final = 1e-6
"""What adding floats may cost, in seconds."""


def broken(life: Life, swallowed: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Say which promises a life has broken; none, if all is well.

    Args:
        life: the life, which is over.
        swallowed: component and hook of those that were cancelled, and ended as if they were not.

    """
    if life.stalled is not None:
        known = () if life.report is None else _of_others(life)
        return [*known] or [f"it never ended: {life.stalled}"]
    if life.report is None:
        return [f"it never began: {one_line(life.error)}"] if life.error is not None else []
    ill = [one for one in dict.fromkeys(swallowed) if one[0] not in _struck(life)]
    found = [
        *(f"the {hook} of {name!r} swallowed its cancellation, and went on" for name, hook in ill),
        *_of_others(life),
        *_order(life),
        *_left_behind(life),
        *_time(life),
    ]
    # Where something else is wrong, a wrong outcome follows from it.
    return list(dict.fromkeys(found or _outcome(life)))


def _left_behind(life: Life) -> Iterator[str]:
    """Nothing is leaked: what became ready was stopped once, and nothing is left."""
    assert life.report is not None  # noqa: S101  it is over
    ready = _names(life, events.ComponentStarted, failed=False)
    stopped = Counter(_names(life, events.ComponentStopping))
    for name in ready:
        if stopped[name] != 1:
            yield f"{name!r} was ready, and was stopped {stopped[name]} times"
    injected = [f"leaked by the {fault.at} of " for fault in life.faults]
    for thing in life.leftovers:
        if not any(leak in thing for leak in injected):
            yield f"it left {thing} behind"
    for work in life.report.in_flight:
        if work.component not in _struck(life):
            yield f"work of {work.component or 'the system'} was cut off: {work.what}"


def _order(life: Life) -> Iterator[str]:
    """What is used starts before, drains after, and stops after what uses it."""
    assert life.report is not None  # noqa: S101  it is over
    place: dict[tuple[type[object], str], int] = {}
    for number, event in enumerate(life.events):
        place.setdefault((type(event), getattr(event, "component", None) or ""), number)
    for user, report in life.report.components.items():
        for used in report.requires:
            for first, second in (
                ((events.ComponentStarted, used), (events.ComponentStarting, user)),
                ((events.ComponentDrained, user), (events.ComponentDraining, used)),
                ((events.ComponentStopped, user), (events.ComponentStopping, used)),
            ):
                if second in place and place.get(first, -1) > place[second]:
                    before = describe(life.events[place[second]])
                    yield f"{before}, and only then: {describe(life.events[place[first]])}"


def _time(life: Life) -> Iterator[str]:
    """The end comes within the grace period."""
    asked = [e.at for e in life.events if isinstance(e, events.ShutdownRequested)]
    closed = [e.at for e in life.events if isinstance(e, events.Closed)]
    if asked and closed and closed[0] - asked[0] > life.settings.grace_period + _MARGIN:
        took, grace = seconds(closed[0] - asked[0]), seconds(life.settings.grace_period)
        yield f"the end took {took}, and the grace period is {grace}"


def _of_others(life: Life) -> Iterator[str]:
    """What goes wrong with one component does no harm to another."""
    assert life.report is not None  # noqa: S101  it is over
    struck = _struck(life)
    for abandoned in life.report.abandoned:
        if abandoned.component not in struck:
            yield (
                f"the {abandoned.hook} of {abandoned.component!r} went on after it was cancelled, "
                f"and was abandoned at\n{abandoned.stack.rstrip()}"
            )
    starved = _starved(life)
    gone = {abandoned.component for abandoned in life.report.abandoned}
    for error in _all_errors(life):
        who = getattr(error, "component", None)
        if who in struck or who in gone or (who in starved and _is_timeout(error)):
            continue
        yield one_line(error)


def _starved(life: Life) -> set[str]:
    """Those that what hangs depends on: what is left of the grace period may be less than theirs.

    Each has its last second all the same, or an equal share of what there is.
    """
    assert life.report is not None  # noqa: S101  it is over
    found: set[str] = set()
    todo = [fault.name for fault in life.faults if fault.hits and fault.takes_time]
    while todo:
        report = life.report.components.get(todo.pop())
        new = set(report.requires if report else ()) - found
        found |= new
        todo += new
    return found


def _is_timeout(error: BaseException) -> bool:
    if isinstance(error, StopError):
        return error.timeout is not None and not error.abandoned
    return isinstance(error, DrainTimeoutError)


def _all_errors(life: Life) -> list[BaseException]:
    """Those of optional components stand with these alone."""
    assert life.report is not None  # noqa: S101  it is over
    own = [one.error for one in life.report.components.values() if one.error is not None]
    known = {id(error) for error in life.report.errors}
    return [*life.report.errors, *(error for error in own if id(error) not in known)]


def _outcome(life: Life) -> Iterator[str]:
    """What is said of the whole is what has happened."""
    assert life.report is not None  # noqa: S101  it is over
    expected = _expected(life)
    outcome, code = life.report.outcome, life.report.exit_code
    if outcome not in expected:
        words = " or ".join(sorted(str(one) for one in expected))
        yield f"the outcome is {outcome}, and should be {words}"
    elif life.report.errors and outcome in _CODES and not code:
        yield f"the outcome is {outcome}, and the exit code 0"


def _expected(life: Life) -> set[Outcome]:
    """The outcomes that there may be, by what was done to it."""
    assert life.report is not None  # noqa: S101  it is over
    expected = {Outcome.CLEAN}
    for fault in life.faults:
        reports = life.report.components
        name = fault.name
        if not fault.hits or name not in reports:
            continue
        possible = set(fault.outcomes)
        if reports[name].optional:
            possible |= {Outcome.CLEAN}
            if any(one.component == name for one in life.report.abandoned):
                possible |= {Outcome.INCOMPLETE}  # it may fail; to be left behind is another matter
        expected = possible if expected == {Outcome.CLEAN} else expected | possible
    return expected


def _struck(life: Life) -> set[str]:
    return {fault.name for fault in life.faults if fault.hits}


def _names(life: Life, kind: type[Any], *, failed: bool | None = None) -> Sequence[str]:
    told: list[Any] = [event for event in life.events if isinstance(event, kind)]
    return [
        event.component
        for event in told
        if failed is None or (getattr(event, "error", None) is not None) is failed
    ]
