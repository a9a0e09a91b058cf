"""What can be said of a run by reason alone: when what was due, and who had a cause for what."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, get_args

from lifecycle import Outcome, events
from lifecycle.errors import (
    ClosedError,
    CrashedError,
    DrainTimeoutError,
    PreflightError,
    StartError,
    StartTimeoutError,
    StopError,
    WorkCancelledError,
)
from lifecycle.states import Phase
from tests.chaos.script import EXIT_CODE, SERVICES
from tests.chaos.story import BODY, CHECKS, COMPANIONS, Call, Deed, Story, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EVENT: Final[tuple[type, ...]] = get_args(events.Event)
EPSILON: Final = 1e-6
_EXITS: Final = (SystemExit, KeyboardInterrupt)
_WINDING_DOWN: Final = {Phase.DRAINING, Phase.ROLLING_BACK}
_HOOKS: Final = ("start", "drain", "stop")

# --- where each stands ---------------------------------------------------------------------------


def counts(story: Story, part: int) -> Counter[str]:
    """How often what was told of a component, by the words of the events."""
    name = name_of(part)
    return Counter(
        type(entry).__name__.removeprefix("Component")
        for entry in story.log
        if isinstance(entry, EVENT) and getattr(entry, "component", None) == name
    )


def settled(story: Story, part: int) -> tuple[int, float] | None:
    """Where, and when, it was decided whether a component is ready."""
    for kind in (events.ComponentStarted, events.ComponentSkipped):
        found = story.first(kind, part)
        if found is not None:
            return found[0], found[1].at
    return None


def ended(story: Story, part: int) -> tuple[int, float] | None:
    """Where, and when, a component had ended: nobody waits for it any more."""
    if story.is_ready(part):
        stopped = story.first(events.ComponentStopped, part)
        return None if stopped is None else (stopped[0], stopped[1].at)
    for place, event in story.told(events.HookAbandoned, part):
        if event.hook == "start":
            return place, event.at
    decided = settled(story, part)
    calls = [call for call in story.calls if call.part == part]
    if decided is None or any(call.ended is None for call in calls):
        return None
    ends = [(call.ended or 0, call.ended_at or 0.0) for call in calls]
    return max([decided, *ends])


def must_drain(story: Story, part: int) -> bool:
    """Whether the drain hook of a component is to be called."""
    declared = story.script.parts[part]
    has_hook = declared.drain is not None and declared.kind not in SERVICES
    return has_hook and story.is_ready(part) and story.crashed(part) is None


def has_drained(story: Story, part: int, place: int) -> bool:
    """Whether a drain hook was over before a place."""
    calls = story.of(part, "drain")
    return any(
        (call.ended is not None and call.ended < place) or story.abandoned_before(call, place)
        for call in calls
    )


def is_cut(story: Story, call: Call, place: int) -> bool:
    """Whether work, or the body, is waited for no longer, or waits for the end itself."""
    if call.what == "body" and story.script.body.how == "waits":
        return True
    name = None if call.part == BODY else name_of(call.part)
    return any(e.component == name for at, e in story.told(events.WorkCancelled) if at < place)


def was_ready_in_time(story: Story, part: int) -> bool:
    """Whether it was ready before the end began, and not in spite of it."""
    decided = settled(story, part)
    begun = next(  # where a thread has asked, a crash may be told before that
        (at for at, event in story.told(events.PhaseChanged) if event.phase in _WINDING_DOWN), None
    )
    if decided is None or begun is None:
        return False
    return story.is_ready(part) and decided[0] < begun


def is_too_late(story: Story, start: Call) -> bool:
    """Whether a start has used up its time, or may have, had it not ended in that moment."""
    return not story.is_real and any(
        (call.ended_at or 0.0) >= began + own - EPSILON
        for call, began, own in timed_calls(story)
        if call is start
    )


def has_passed_deadline(story: Story, at: float) -> bool:
    """Whether the deadline around `running` was over by then."""
    deadline = story.script.deadline
    return deadline is not None and at >= deadline - EPSILON


def has_timed_out_before(story: Story, part: int, place: int) -> bool:
    """Whether its start had failed before a place."""
    return any(
        at < place and event.error is not None
        for at, event in story.told(events.ComponentStarted, part)
    )


def was_cancelled_meanwhile(story: Story) -> bool:
    """Whether somebody cancelled what is around `running` before it had ended."""
    closed = story.place(events.Closed)
    return any(
        deed.what == "cancelled"
        and closed is not None
        and place < closed
        and (story.is_real or deed.at < story.closed_at - EPSILON)
        for place, deed in story.told(Deed)
    )


# --- why it ended --------------------------------------------------------------------------------


def causes(story: Story) -> list[tuple[float, str]]:
    """All reasons to shut down, each with its time."""
    found: list[tuple[float, str]] = [
        (_noticed_at(story, deed), deed.what)
        for _, deed in story.told(Deed)
        if deed.what != "forced"
    ]
    found += [(c.ended_at or 0.0, str(c)) for c in story.of(BODY, "body") if c.ended is not None]
    found += _failures_before_the_start(story)
    for part in story.parts:
        if not story.script.parts[part].optional:
            found += [
                (event.at, f"{name_of(part)} did not start")
                for _, event in story.told(events.ComponentStarted, part)
                if isinstance(event.error, StartError)
            ]
            found += [
                (event.at, f"{name_of(part)} crashed")
                for _, event in story.told(events.ComponentCrashed, part)
            ]
        found += _ends_of_main(story, part)
    found += [
        (_left_at(story, call), f"the {call} raised {call.raised!r}")
        for call in story.calls
        if isinstance(call.raised, _EXITS)
        and (
            _asks(story, call) or (call.part >= CHECKS and not isinstance(call.raised, SystemExit))
        )
    ]
    return sorted(found)


def _left_at(story: Story, call: Call) -> float:
    """When what a call raised has come out: of a service, not before its group has ended."""
    lives = story.of(call.part, "life") if call.what == "run" else []
    return max([call.ended_at or 0.0, *(life.ended_at or 0.0 for life in lives)])


def _noticed_at(story: Story, deed: Deed) -> float:
    """When the engine can know of it: of a cancellation not while the body is deaf."""
    if deed.what != "cancelled" or story.script.body.how != "ignores":
        return deed.at
    ends = [
        call.ended_at or 0.0
        for call in story.of(BODY, "body")
        if call.began_at <= deed.at < (call.ended_at or 0.0)
    ]
    return max([deed.at, *ends])


def _failures_before_the_start(story: Story) -> Iterator[tuple[float, str]]:
    """All companions are entered, and all checks made, whichever fails: every failure is told."""
    entered = [event for _, event in story.told(events.CompanionStarted)]
    if any(isinstance(event.error, StartError) for event in entered):
        yield max(event.at for event in entered), "a companion did not start"
    if any(event.error is not None for _, event in story.told(events.CheckEnded)):
        ends = [call.ended_at or 0.0 for call in story.calls if call.part >= CHECKS]
        yield max(ends), "a check failed"


def _ends_of_main(story: Story, part: int) -> Iterator[tuple[float, str]]:
    if story.script.parts[part].kind != "main":
        return
    runs = [e.at for _, e in story.told(events.PhaseChanged) if e.phase is Phase.RUNNING]
    for call in story.of(part, "life"):
        if call.is_well and runs:
            yield max(call.ended_at or 0.0, runs[0]), "the main has ended"


def is_by_the_body(story: Story) -> bool:
    """Whether the end of the body was the reason."""
    asked = story.first(events.ShutdownRequested)
    return asked is not None and "the body" in asked[1].reason


def enclosing_deadline(story: Story) -> float | None:
    """The deadline that shortens the shutdown, if one does."""
    asked = story.first(events.ShutdownRequested)
    deadline = story.script.deadline
    if asked is None or deadline is None or not is_by_the_body(story):
        return None
    return deadline if deadline > asked[1].at + EPSILON else None


# --- time ----------------------------------------------------------------------------------------


def _end(story: Story) -> float:
    """When everything is planned to have ended."""
    asked = story.first(events.ShutdownRequested)
    grace = story.script.grace_period
    return (0.0 if asked is None else asked[1].at) + grace - min(0.5, grace / 10)


def _reserve(story: Story) -> float:
    return min(5.0, story.script.grace_period / 5)


def drains_end(story: Story) -> float:
    """When the time to drain is over."""
    planned = _end(story) - _reserve(story)
    deadline = enclosing_deadline(story)
    asked = story.first(events.ShutdownRequested)
    if deadline is None or asked is None or deadline >= _end(story):
        return planned
    now = asked[1].at
    return now + (planned - now) * (deadline - now) / (_end(story) - now)


def stop_timeout(story: Story, part: int) -> float:
    """How long a stop may take."""
    own = story.script.parts[part].stop_timeout
    return story.script.stop_timeout if own is None else own


def timed_calls(story: Story) -> Iterator[tuple[Call, float, float]]:
    """Hooks, each with when its time began, and how much its own timeout gives it."""
    script = story.script
    for call in story.calls:
        if call.part not in story.parts or call.what not in _HOOKS:
            continue
        part = script.parts[call.part]
        if part.kind in SERVICES and call.what != "start":
            continue
        if call.what == "start":
            starting = story.first(events.ComponentStarting, call.part)
            own = script.start_timeout if part.start_timeout is None else part.start_timeout
            if starting is not None:
                yield call, starting[1].at, min(own, _whole_start(story) - starting[1].at)
        elif call.what == "drain" and (asked := _asked_to_drain(story, call)) is not None:
            of_all = math.inf if script.drain_timeout is None else script.drain_timeout
            yield call, asked, of_all if part.drain_timeout is None else part.drain_timeout
        else:
            stopping = story.first(events.ComponentStopping, call.part)
            if stopping is not None and stopping[0] < call.began:
                yield call, stopping[1].at, stop_timeout(story, call.part)


def _whole_start(story: Story) -> float:
    begun = [e.at for _, e in story.told(events.PhaseChanged) if e.phase is Phase.STARTING]
    limit = story.script.startup_timeout
    return math.inf if limit is None or not begun else begun[0] + limit


def _asked_to_drain(story: Story, call: Call) -> float | None:
    """When it was, and not as a part of its stop."""
    found = story.first(events.ComponentDraining, call.part)
    return None if found is None else found[1].at


def is_deaf(story: Story, call: Call) -> bool:
    """Whether it takes no notice of a cancellation."""
    part = story.script.parts[call.part]
    act = {"start": part.start, "drain": part.drain, "stop": part.stop}.get(call.what)
    return part.is_sync or (act is not None and act.how == "ignores")


def is_of_a_group_that_crashed(story: Story, call: Call) -> bool:
    """Whether a group in its component may have cancelled it."""
    beside = story.of(call.part, "run", "work")
    return story.crashed(call.part) is not None or any(one.raised is not None for one in beside)


def least_time(story: Story, call: Call, began: float, own: float) -> float | None:
    """How much time a hook has at least, in seconds; None where that cannot be said."""
    asked = story.first(events.ShutdownRequested)
    assert call.cancelled_at is not None
    if call.what == "start":
        return own if asked is None or asked[1].at > call.cancelled_at + EPSILON else None
    if enclosing_deadline(story) is not None:
        return None
    if call.what == "drain":
        if _asked_to_drain(story, call) is None:
            return None
        phase_end = drains_end(story)
    else:
        last = min(1.0, _reserve(story) / 2) if story.script.companions else 0.0
        phase_end = _end(story) - last
    left = max(0.0, phase_end - began)
    below = _longest_path(story, call.part)
    share = min(1.0, left / (below + 1))
    return min(own, max(left - below * share, min(0.1, left)))


def most_time(story: Story, call: Call, began: float, own: float) -> float | None:
    """How much time a stop has at most: each that still follows it has its last second, or a share.

    None where that cannot be said.
    """
    if call.what != "stop" or enclosing_deadline(story) is not None:
        return None
    last = min(1.0, _reserve(story) / 2) if story.script.companions else 0.0
    left = max(0.0, _end(story) - last - began)
    following = _stops_below(story, call.part)
    share = min(1.0, left / (following + 1))
    return min(own, max(left - following * share, min(0.1, left)))


def _stops_below(story: Story, part: int) -> int:
    """How many stop hooks follow, on the longest path, as far as they were called in the end."""
    return max(
        (
            (story.is_ready(other) and bool(story.of(other, "stop"))) + _stops_below(story, other)
            for other in story.script.parts[part].dependencies
        ),
        default=0,
    )


def _longest_path(story: Story, part: int) -> int:
    others = story.script.parts[part].dependencies
    return max((1 + _longest_path(story, other) for other in others), default=0)


# --- errors --------------------------------------------------------------------------------------


def reachable(errors: Iterable[BaseException]) -> set[int]:
    """The identities of errors, of their causes and contexts, and of what they are groups of."""
    found: set[int] = set()
    todo: list[Any] = list(errors)
    while todo:
        error = todo.pop()
        if error is not None and id(error) not in found:
            found.add(id(error))
            todo += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return found


def must_be_told(story: Story, call: Call) -> bool:
    """Whether what a call raised belongs into the report."""
    if call.raised is None or isinstance(call.raised, _EXITS) or call.part == BODY:
        return False
    closed = story.place(events.Closed)
    assert call.ended is not None
    if closed is None or call.ended > closed or _was_given_up(story, call):
        return False
    if call.what != "start":
        return True
    is_last = call is story.of(call.part, "start")[-1]
    retried = story.told(events.ComponentRetrying, call.part)
    given_up = isinstance(_error_of_start(story, call.part), ClosedError)
    return is_last and not (given_up and any(event.error is call.raised for _, event in retried))


def _error_of_start(story: Story, part: int) -> BaseException | None:
    started = story.first(events.ComponentStarted, part) if part in story.parts else None
    return None if started is None else started[1].error


def _was_given_up(story: Story, call: Call) -> bool:
    assert call.ended is not None
    if call.part >= COMPANIONS:
        return story.place(events.HookAbandoned, call.part) is not None
    told = story.told(events.HookAbandoned, call.part)
    if call.what in {"work", "run"}:  # what a group raised comes out of the stop only
        return bool(told) or _is_lost_in_the_stop(story, call.part)
    hooks = {"start", call.what, *(("stop",) if call.what == "drain" else ())}
    late = story.script.parts[call.part].is_sync and not story.is_real
    return any(
        event.hook in hooks
        # Of a thread it is known a moment later that it has ended.
        and (place < call.ended or (late and event.at <= (call.ended_at or 0.0) + EPSILON))
        for place, event in told
    )


def _is_lost_in_the_stop(story: Story, part: int) -> bool:
    """Whether something came on top of what a group raised, and may have hidden it.

    What is known of the group then is the context of a cancellation, which Python does not keep on
    every way out of nested generators; or that of a SystemExit, which may as well be something that
    was handled by it.
    """
    return any(
        call.cancelled_at is not None or isinstance(call.raised, _EXITS)
        for call in story.of(part, "stop")
    )


def is_optional(story: Story, call: Call) -> bool:
    """Whether it belongs to an optional component."""
    return call.part in story.parts and story.script.parts[call.part].optional


def is_noted_at_once(story: Story, call: Call) -> bool:
    """Whether the engine learns of an error in the moment in which it was raised."""
    if story.is_real or story.script.interleaving is not None or call.part not in story.parts:
        return False
    return (
        must_be_told(story, call)
        and not is_optional(story, call)
        and not story.script.parts[call.part].is_sync
        and call.cancelled_at is None
        and story.crashed(call.part) is None
    )


def is_explained(story: Story, error: BaseException) -> bool:
    """Whether an error of the report has a cause in what was done."""
    if isinstance(error, PreflightError):
        return any(call.error is not None for call in story.calls if call.part >= CHECKS)
    name: str | None = getattr(error, "component", "")
    if name is None or isinstance(error, WorkCancelledError):
        return any(event.component == name for _, event in story.told(events.WorkCancelled))
    if name.startswith("companion"):
        calls = [call for call in story.calls if name_of(call.part) == name]
        return any(c.error is not None or c.ended_at != c.began_at for c in calls)
    if not name.startswith("c"):
        return False
    return _is_explained_by_component(story, int(name[1:]), error)


def _is_explained_by_component(story: Story, part: int, error: BaseException) -> bool:
    calls = [call for call in story.calls if call.part == part]
    raised = {call.what for call in calls if call.error is not None}
    if isinstance(error, StartTimeoutError):
        return _has_timed_out(story, part)
    if isinstance(error, StartError):
        return bool(raised & {"start", "life"})
    if isinstance(error, CrashedError):
        return bool(raised) or any(c.what == "run" and c.ended is not None for c in calls)
    if isinstance(error, StopError) and error.timeout is None:
        return bool(raised & {error.hook, "life"})
    return _is_late(story, calls, error)


def _is_late(story: Story, calls: list[Call], error: BaseException) -> bool:
    """Whether something went on, or may have, when its time was over."""
    for part in {call.part for call in calls}:
        abandoned = [event.hook for _, event in story.told(events.HookAbandoned, part)]
        if isinstance(error, StopError) and error.abandoned:
            return error.hook in abandoned
        if isinstance(error, DrainTimeoutError) and story.told(events.WorkCancelled, part):
            return True
    hook = error.hook if isinstance(error, StopError) else "drain"
    timeout = getattr(error, "timeout", 0.0)
    return any(
        (call.what == "life" and call.error is not None)
        or (call.what in {hook, "drain", "life"} and _may_be_late(story, call, timeout))
        for call in calls
    )


def _may_be_late(story: Story, call: Call, timeout: float) -> bool:
    """Whether it was cut off; or may have been, had it not ended in that moment."""
    if call.cancelled_at is not None or story.is_real or is_deaf(story, call):
        return True
    begun = [
        event.at
        for kind in (events.ComponentDraining, events.ComponentStopping)
        for _, event in story.told(kind, call.part)
    ]
    return any((call.ended_at or 0.0) >= at + timeout - EPSILON for at in begun)


def _has_timed_out(story: Story, part: int) -> bool:
    starting, decided = story.first(events.ComponentStarting, part), settled(story, part)
    assert starting is not None
    assert decided is not None
    declared = story.script.parts[part].start_timeout
    own = story.script.start_timeout if declared is None else declared
    due = min(starting[1].at + own, _whole_start(story))
    return story.is_real or decided[1] >= due - EPSILON


# --- the verdict ---------------------------------------------------------------------------------


def outcomes(story: Story) -> set[Outcome]:
    """The words that there may be for how it went."""
    own = _outcomes_if_not_forced(story)
    closed = story.place(events.Closed)
    for place, deed in story.told(Deed):
        if deed.what == "forced" and closed is not None and place < closed:
            in_time = not story.is_real and deed.at < story.closed_at - EPSILON
            return {Outcome.FORCED} if in_time else own | {Outcome.FORCED}
    return own


def _outcomes_if_not_forced(story: Story) -> set[Outcome]:
    assert story.report is not None
    if _start_has_failed(story):
        return {Outcome.START_FAILED}
    asked = story.first(events.ShutdownRequested)
    assert asked is not None
    lost = {
        Outcome.INCOMPLETE
        if any(_counts(error) for error in story.report.errors)
        else Outcome.CLEAN
    }
    for place, event in story.told(events.ComponentCrashed):
        if not story.script.parts[int(event.component[1:])].optional:
            if place < asked[0]:
                # Unless it was asked for from a thread, or by a signal, in the same moment.
                deeds = [deed.at for _, deed in story.told(Deed)]
                same = any(story.is_real or at >= event.at - EPSILON for at in deeds)
                return {Outcome.CRASHED, Outcome.INCOMPLETE} if same else {Outcome.CRASHED}
            return lost
    return lost


def counts_as_first(error: BaseException) -> bool:
    """Whether an error can have begun the end: a start that failed, a check, or a crash."""
    if isinstance(error, CrashedError):
        return _counts(error)  # that of a companion cannot
    return isinstance(error, (StartError, PreflightError))


def _counts(error: BaseException) -> bool:
    """Whether an error changes the outcome: what companions do at their end does not."""
    return not str(getattr(error, "component", "")).startswith("companion")


def _start_has_failed(story: Story) -> bool:
    phase = Phase.PREFLIGHT
    for entry in story.log:
        if isinstance(entry, events.PhaseChanged):
            phase = entry.phase
        elif isinstance(entry, events.CheckEnded):
            if entry.error is not None:
                return True
        elif isinstance(entry, events.CompanionStarted):
            if isinstance(entry.error, StartError):
                return True
        elif isinstance(entry, events.ComponentStarted) and phase is Phase.STARTING:
            optional = story.script.parts[int(entry.component[1:])].optional
            if isinstance(entry.error, StartError) and not optional:
                return True
    return False


def asked_codes(story: Story, *, at_the_last: bool = False) -> set[int]:
    """The exit codes other than 0 that may have been asked for first; none: nobody asked.

    Or, `at_the_last`, in the moment in which it closed: by a thread, maybe too late.
    """
    last = -math.inf if story.is_real else story.closed_at - EPSILON
    asked = [(deed.at, deed.code) for _, deed in story.told(Deed)]
    asked += [
        (_left_at(story, call), EXIT_CODE)
        for call in story.calls
        if isinstance(call.raised, SystemExit) and _asks(story, call)
    ]
    asked = sorted((at, code) for at, code in asked if code and (at >= last) is at_the_last)
    if at_the_last:
        return {code for _, code in asked}
    return {code for at, code in asked if at <= asked[0][0] + EPSILON}


def was_interrupted(story: Story) -> bool:
    """Whether a KeyboardInterrupt came."""
    return any(
        isinstance(call.raised, KeyboardInterrupt) and (call.part >= CHECKS or _asks(story, call))
        for call in story.calls
    )


def was_interrupted_first(story: Story) -> bool:
    """Whether a KeyboardInterrupt came before anything had gone wrong, and not in its instant."""
    if story.is_real:
        return False  # there all is one instant
    interrupts = [
        _left_at(story, call)
        for call in story.calls
        if isinstance(call.raised, KeyboardInterrupt) and _asks(story, call)
    ]
    troubles = [at for entry in story.log if (at := _trouble_at(entry)) is not None]
    return bool(interrupts) and min(interrupts) < min(troubles, default=math.inf) - EPSILON


def _trouble_at(entry: object) -> float | None:
    kinds = (events.ComponentCrashed, events.WorkCancelled, events.HookAbandoned)
    if isinstance(entry, events.Event) and (
        isinstance(entry, kinds) or getattr(entry, "error", None) is not None
    ):
        return entry.at
    return None


def _asks(story: Story, call: Call) -> bool:
    """Whether what a call raised asks for the end: it came from where that means it."""
    closed = story.place(events.Closed)
    assert call.ended is not None
    in_time = closed is None or call.ended < closed
    return call.part < COMPANIONS and in_time and not _was_given_up(story, call)


def checks_that_exit(story: Story) -> bool:
    """Whether a check ended with an exit code of its own."""
    return any(isinstance(c.raised, SystemExit) for c in story.calls if c.part >= CHECKS)
