"""What must hold of every run, whatever goes wrong in it: each invariant is named after its rule.

An invariant is given the story of a run and says how it is broken. It looks at what the hooks saw
themselves, and holds what the engine said against that: its events, its report, what it raised.
Times are looked at only where they are virtual.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from lifecycle import ExitCode, Outcome, events
from lifecycle.errors import ClosedError, RunError, one_line
from lifecycle.states import Phase, Trigger
from tests.chaos import facts
from tests.chaos.script import EXIT_CODE, GENERATORS, MANAGERS, OBJECTS
from tests.chaos.story import BODY, Call, Deed, Story, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EPSILON: Final = 1e-6
"""What adding floats may cost, in seconds."""
UNWIND: Final = 0.5
"""How long what was cancelled has to end before it is abandoned, in seconds."""
FORCED: Final = 0.5 + 0.5 + 2 + 0.5 + 1
"""How long a forced end takes at most: work, drains, stops, those that ignore it, companions."""
LAST: Final = 0.3
"""By how much an end may be later than a deadline that is too near, in seconds."""

_SPANNING: Final = GENERATORS | MANAGERS


class Invariant(NamedTuple):
    """What must hold, and the rule that says so."""

    rule: str
    check: Callable[[Story], Iterator[str]]

    @property
    def name(self) -> str:
        """The rule, and what holds."""
        return f"{self.rule}: {self.check.__name__.replace('_', ' ')}"


INVARIANTS: list[Invariant] = []


class Breach(NamedTuple):
    """An invariant that was broken, and how."""

    invariant: str
    how: str

    def __str__(self) -> str:
        """Write it in one line."""
        return f"{self.invariant}: {self.how}"


def breaches(story: Story) -> list[Breach]:
    """Say which invariants a run has broken; none, if all is well."""
    if story.stalled:
        return [Breach("K2: it ends", story.stalled)]
    if not any(isinstance(entry, events.PhaseChanged) for entry in story.log):
        # It was never begun: cancelled before it was entered, or in the same instant.
        return [Breach("K2: nothing is left", what) for what in story.leftovers]
    return [
        Breach(invariant.name, how) for invariant in INVARIANTS for how in invariant.check(story)
    ]


def holds(
    rule: str, *, timed: bool = False
) -> Callable[[Callable[[Story], Iterator[str]]], Callable[[Story], Iterator[str]]]:
    """Note an invariant; one that is `timed` says something only where time is virtual."""

    def note(
        check: Callable[[Story], Iterator[str]],
    ) -> Callable[[Story], Iterator[str]]:
        def timely(story: Story) -> Iterator[str]:
            return iter(()) if story.is_real else check(story)

        timely.__name__ = check.__name__
        INVARIANTS.append(Invariant(rule, timely if timed else check))
        return check

    return note


# --- the end -------------------------------------------------------------------------------------


@holds("K2")
def nothing_is_left(story: Story) -> Iterator[str]:
    """When `running` has ended there is no task, no thread, no hook that goes on, and no word."""
    yield from story.leftovers
    for call in story.calls:
        if call.ended is None or call.ended >= story.over:
            yield f"the {call} goes on"
    for entry in story.log[story.over :]:
        if isinstance(entry, (Call, facts.EVENT)):
            yield f"afterwards: {entry}"


@holds("K2", timed=True)
def it_ends_with_what_it_waits_for(story: Story) -> Iterator[str]:
    """It ends when the report is complete and what was abandoned has ended."""
    last = max((call.ended_at or 0.0 for call in story.calls), default=0.0)
    if story.over_at > max(story.closed_at, last) + EPSILON:
        yield f"it ended at {story.over_at:g}"


@holds("D7", timed=True)
def it_ends_within_the_grace_period(story: Story) -> Iterator[str]:
    """From the request to the report it takes the grace period at most."""
    asked = story.first(events.ShutdownRequested)
    if asked is None:
        yield "nobody said that it shuts down"
    elif story.closed_at - asked[1].at > story.script.grace_period + EPSILON:
        yield f"it took {story.closed_at - asked[1].at:g} s of {story.script.grace_period:g} s"
    if story.forced_at is not None and story.closed_at > story.forced_at + FORCED + EPSILON:
        yield f"forced at {story.forced_at:g} s, it ended at {story.closed_at:g} s"


@holds("D10", timed=True)
def a_deadline_that_is_to_come_shortens_it(story: Story) -> Iterator[str]:
    """Where the body ended by itself, a deadline around it bounds the shutdown, too."""
    deadline = facts.enclosing_deadline(story)
    if deadline is not None and story.closed_at > deadline + LAST + EPSILON:
        yield f"the deadline was {deadline:g} s, and it ended at {story.closed_at:g} s"


@holds("D1")
def each_word_is_said_once(story: Story) -> Iterator[str]:
    """What begins has an end; what becomes ready is stopped; phases go forward."""
    for kind in (events.ShutdownRequested, events.Closed):
        if len(story.told(kind)) != 1:
            yield f"{kind.__name__} was told {len(story.told(kind))} times"
    phases = [event.phase for _, event in story.told(events.PhaseChanged)]
    if len(set(phases)) != len(phases) or phases[-1:] != [Phase.CLOSED]:
        yield f"the phases were {', '.join(phases)}"
    for part in story.parts:
        count = facts.counts(story, part)
        ready = int(story.is_ready(part))
        if not ready == count["Stopping"] == count["Stopped"]:
            yield f"{name_of(part)} was ready {ready} times, and told to be stopped: {count}"
        if count["Draining"] > 1 or count["Drained"] > 1 or count["Draining"] > count["Drained"]:
            yield f"{name_of(part)} was told to drain: {count}"
        if count["Starting"] != count["Started"] or count["Starting"] + count["Skipped"] != 1:
            yield f"{name_of(part)} was told to start: {count}"


@holds("D1", timed=True)
def it_shuts_down_when_there_is_a_reason(story: Story) -> Iterator[str]:
    """The clock runs from the first request or failure, and from nothing else."""
    asked = story.first(events.ShutdownRequested)
    if asked is None:
        return
    causes = facts.causes(story)
    due = min((at for at, what in causes), default=None)
    if due is None:
        yield f"nobody asked for it, and it shuts down at {asked[1].at:g}: {asked[1].reason}"
    elif abs(asked[1].at - due) > EPSILON:
        yield f"it shuts down at {asked[1].at:g} s, and there was a reason at {due:g} s: {causes}"


# --- once, and in order --------------------------------------------------------------------------


@holds("S4")
def what_became_ready_is_stopped_once_and_nothing_else_is(story: Story) -> Iterator[str]:
    """Hooks are called once at most; a stop is called if, and only if, there is what to stop."""
    for part in story.parts:
        kind = story.script.parts[part].kind
        starts = story.of(part, "start")
        stops, drains = len(story.of(part, "stop")), len(story.of(part, "drain"))
        well = sum(call.is_well for call in starts)
        if drains > 1 or stops > 1 or well > 1:
            yield f"{name_of(part)}: {well} starts ended well, {drains} drains, {stops} stops"
        if kind in OBJECTS and stops != int(story.is_ready(part)):
            yield f"{name_of(part)}, an object, was stopped {stops} times"
        if kind in _SPANNING and stops != well:
            yield f"{name_of(part)} started {well} times, and was stopped {stops} times"
        if len(starts) > 1 + story.script.parts[part].retry:
            yield f"{name_of(part)} was started {len(starts)} times"
        if kind not in {"plain service", "main"} and story.is_ready(part) and not well:
            yield f"{name_of(part)} is ready, and has not started"


@holds("S2")
def what_starts_in_time_becomes_ready(story: Story) -> Iterator[str]:
    """A start that ended well, before anything else happened, is ready."""
    asked = story.place(events.ShutdownRequested)
    for part in story.parts:
        starts = story.of(part, "start")
        if not starts or not starts[-1].is_well or story.is_ready(part):
            continue
        end = starts[-1].ended
        assert end is not None
        late = facts.has_timed_out_before(story, part, end) or facts.is_too_late(story, starts[-1])
        if not late and (asked is None or end < asked) and starts[-1].cancelled_at is None:
            yield f"{name_of(part)} has started, and never became ready"


@holds("G3")
def a_start_comes_after_all_that_it_depends_on(story: Story) -> Iterator[str]:
    """What is required is ready; what is wanted, or only comes first, has been decided."""
    for part in story.parts:
        place = story.place(events.ComponentStarting, part)
        if place is None:
            continue
        for other in story.script.parts[part].dependencies:
            settled = facts.settled(story, other)
            if settled is None or settled[0] > place:
                yield f"{name_of(part)} started before {name_of(other)} was settled"
        for other in story.script.parts[part].requires:
            if not story.is_ready(other):
                yield f"{name_of(part)} started without {name_of(other)}"
        asked = story.place(events.ShutdownRequested)
        if asked is not None and asked < place:
            yield f"{name_of(part)} started after the end had begun"
        if any(call.began < place for call in story.of(part, "start")):
            yield f"{name_of(part)} was called before its turn"


@holds("S3")
def nothing_is_called_to_start_once_that_is_given_up(story: Story) -> Iterator[str]:
    """Not even what was just about to be."""
    asked = story.first(events.ShutdownRequested)
    if asked is None or story.script.interleaving is not None:  # that makes calls late, too
        return
    for part in story.parts:
        for call in story.of(part, "start"):
            # In a thread it may begin while the loop says so.
            at_once = story.is_real or call.began_at < asked[1].at + EPSILON
            same = story.script.parts[part].is_sync and at_once
            if call.began > asked[0] and not same:
                yield f"the {call} began at {call.began_at:g} s"


@holds("S2", timed=True)
def what_can_start_starts_at_once(story: Story) -> Iterator[str]:
    """There are no waves: it starts in the moment in which the last that it waits for settles."""
    begun = [e.at for _, e in story.told(events.PhaseChanged) if e.phase is Phase.STARTING]
    for part in story.parts:
        starting = story.first(events.ComponentStarting, part)
        if starting is None:
            continue
        others = story.script.parts[part].dependencies
        settled = [facts.settled(story, other) for other in others]
        due = max([*begun, *(one[1] for one in settled if one is not None)])
        if abs(starting[1].at - due) > EPSILON:
            yield f"{name_of(part)} started at {starting[1].at:g} s, and could at {due:g} s"


@holds("D3")
def a_drain_comes_after_those_of_all_dependents(story: Story) -> Iterator[str]:
    """Whoever uses it has drained, its work is no longer in flight, and no start of one unwinds."""
    for part in story.parts:
        for call in story.of(part, "drain"):
            for other in story.dependents(part):
                if story.crashed(other) is None:
                    yield from _still_used(story, other, call)


def _still_used(story: Story, user: int, drain: Call) -> Iterator[str]:
    for call in story.of(user, "start", "drain"):
        if call.is_running_at(drain.began) and not story.abandoned_before(call, drain.began):
            yield f"the {drain} began during the {call}"
    drained = story.place(events.ComponentDrained, user)
    for call in story.of(user, "work"):
        is_late = drained is not None and drained < call.began  # work may still be taken in
        if (
            call.is_running_at(drain.began)
            and not is_late
            and not facts.is_cut(story, call, drain.began)
        ):
            yield f"the {drain} began while {call} was in flight"
    was_forced = story.report is not None and story.report.outcome is Outcome.FORCED
    if was_forced and not story.of(user, "drain"):
        return  # no drain is begun any more; that of a service is what it does when it is stopped
    if facts.must_drain(story, user) and not facts.has_drained(story, user, drain.began):
        yield f"the {drain} began before that of {name_of(user)}"


@holds("D4")
def nothing_stops_before_all_has_drained(story: Story) -> Iterator[str]:
    """Nor while anything is in flight, unless the time for that is over."""
    stopping = story.first(events.ComponentStopping)
    if stopping is None:
        return
    place, event = stopping
    for call in story.calls:
        if not call.is_running_at(place):
            continue
        if call.what == "drain" and not story.abandoned_before(call, place):
            yield f"{event.component} was stopped during the {call}"
        if call.what in {"work", "body"} and not facts.is_cut(story, call, place):
            yield f"{event.component} was stopped while {call} was in flight"
    if story.forced_at is not None or event.at >= facts.drains_end(story) - EPSILON:
        return
    for part in story.parts:
        drained = story.place(events.ComponentDrained, part)
        if facts.was_ready_in_time(story, part) and (drained is None or drained > place):
            crashed = story.crashed(part)
            if crashed is None or crashed > place:
                yield f"{event.component} was stopped before {name_of(part)} had drained"


@holds("D4")
def whatever_is_ready_is_asked_to_drain(story: Story) -> Iterator[str]:
    """In its turn, or as the first part of its stop; but for a forced end, and what has crashed."""
    for part in story.parts:
        if facts.must_drain(story, part) and story.forced_at is None:
            count = len(story.of(part, "drain"))
            if count != 1:
                yield f"{name_of(part)} was asked to drain {count} times"


@holds("D5")
def a_stop_comes_after_the_end_of_all_dependents(story: Story) -> Iterator[str]:
    """What uses it has stopped, or its start has unwound, or it was abandoned."""
    for part in story.parts:
        places = [call.began for call in story.of(part, "stop") if story.is_ready(part)]
        stopping = story.place(events.ComponentStopping, part)
        for place in (*places, *([] if stopping is None else [stopping])):
            for other in story.dependents(part):
                ended = facts.ended(story, other)
                if ended is None or ended[0] > place:
                    yield f"{name_of(part)} was stopped before {name_of(other)} had ended"


@holds("D5", timed=True)
def what_can_stop_stops_at_once(story: Story) -> Iterator[str]:
    """It stops in the moment in which the last that uses it has ended."""
    first = story.first(events.ComponentStopping)
    for part in story.parts:
        stopping = story.first(events.ComponentStopping, part)
        if stopping is None or first is None:
            continue
        ends = [facts.ended(story, other) for other in story.dependents(part)]
        began = facts.settled(story, part)
        due = max([first[1].at, *(one[1] for one in (*ends, began) if one is not None)])
        if abs(stopping[1].at - due) > EPSILON:
            yield f"{name_of(part)} stopped at {stopping[1].at:g} s, and could at {due:g} s"


# --- time ----------------------------------------------------------------------------------------


@holds("D7", timed=True)
def no_hook_has_more_than_its_own_time(story: Story) -> Iterator[str]:
    """It is cancelled when its own timeout is over, at the latest; work has 0.5 s to end before."""
    for call, began, own in facts.timed_calls(story):
        limit = max(began + own + (UNWIND if call.what == "drain" else 0.0), call.began_at)
        seen = call.cancelled_at if call.cancelled_at is not None else call.ended_at
        if seen is not None and seen > limit + EPSILON and not facts.is_deaf(story, call):
            yield f"the {call} began at {began:g} s, has {own:g} s, and went on until {seen:g} s"


@holds("D7", timed=True)
def no_stop_uses_up_what_those_after_it_need(story: Story) -> Iterator[str]:
    """Each that follows it on its longest path has its last second, or an equal share."""
    for call, began, own in facts.timed_calls(story):
        most = facts.most_time(story, call, began, own)
        if most is None or facts.is_deaf(story, call):
            continue
        seen = call.cancelled_at if call.cancelled_at is not None else call.ended_at
        if seen is not None and seen > max(began + most, call.began_at) + EPSILON:
            yield f"the {call} began at {began:g} s, has {most:g} s, and went on until {seen:g} s"


@holds("D7", timed=True)
def no_hook_is_cut_before_its_time(story: Story) -> Iterator[str]:
    """It has its own timeout, or what the grace period leaves when those after it have a share."""
    for call, began, own in facts.timed_calls(story):
        if call.cancelled_at is None or call.by_itself or story.forced_at is not None:
            continue
        if facts.is_of_a_group_that_crashed(story, call):
            continue
        least = facts.least_time(story, call, began, own)
        if least is not None and call.cancelled_at < began + least - EPSILON:
            yield f"the {call} began at {began:g} s and was cut at {call.cancelled_at:g} s"


@holds("D8", timed=True)
def what_goes_on_after_its_cancellation_is_abandoned(story: Story) -> Iterator[str]:
    """0.5 s later, a start after its stop timeout; and nothing else is."""
    for call, began, own in facts.timed_calls(story):
        patience = facts.stop_timeout(story, call.part) if call.what == "start" else UNWIND
        work = UNWIND if call.what == "drain" else 0.0
        limit = max(began + own + work, call.began_at) + patience
        assert call.ended_at is not None
        assert call.ended is not None
        if call.ended_at > limit + EPSILON and not story.abandoned_before(call, call.ended):
            yield f"the {call} went on until {call.ended_at:g} s, and was never abandoned"
    for place, event in story.told(events.HookAbandoned):
        if event.component.startswith(("companion", "check")):
            continue
        part = int(event.component[1:])
        calls = [call for call in story.calls if call.part == part]
        if not any(one.is_running_at(place) or one.ended_at == event.at for one in calls):
            yield f"the {event.hook} of {event.component} was abandoned, and had ended"


@holds("D2", timed=True)
def the_delay_is_no_longer_than_it_should(story: Story) -> Iterator[str]:
    """And there is one only where it was asked for."""
    told = story.told(events.PhaseChanged)
    for (_, one), (_, following) in pairwise(told):
        if one.phase is Phase.DELAYING and following.at > one.at + story.script.drain_delay:
            yield f"it took until {following.at:g} s"


# --- the account ---------------------------------------------------------------------------------


@holds("S5")
def every_error_is_in_the_report(story: Story) -> Iterator[str]:
    """By identity: what a hook raised is an error there, or the cause of one."""
    if story.report is None:
        return
    told = facts.reachable(story.report.errors)
    of_components = facts.reachable(
        [one.error for one in story.report.components.values() if one.error is not None]
    )
    for call in story.calls:
        if not facts.must_be_told(story, call):
            continue
        known = told | of_components if facts.is_optional(story, call) else told
        if id(call.raised) not in known:
            yield f"what the {call} raised is not there"


@holds("S5")
def errors_are_in_the_order_in_which_they_came(story: Story) -> Iterator[str]:
    """The first cause first."""
    if story.report is None:
        return
    last = -1
    errors = story.report.errors
    for call in sorted(story.calls, key=lambda call: call.ended or 0):
        if call.what in {"start", "drain", "stop"} and facts.is_noted_at_once(story, call):
            which = [n for n, one in enumerate(errors) if id(call.raised) in facts.reachable([one])]
            if which and which[0] < last:
                yield f"what the {call} raised is number {which[0]}, and came after {last}"
            last = max([last, *which])


@holds("D6")
def every_error_has_a_cause(story: Story) -> Iterator[str]:
    """What goes wrong with one component does no harm to another, and nothing is made up."""
    if story.report is None:
        return
    own = [one.error for one in story.report.components.values() if one.error is not None]
    for error in dict.fromkeys((*story.report.errors, *own)):
        if not facts.is_explained(story, error):
            yield one_line(error)


@holds("D6")
def the_outcome_is_what_happened(story: Story) -> Iterator[str]:
    """One word for what began the end, and for what was lost after that."""
    report, closed = story.report, story.first(events.Closed)
    if report is None or closed is None:
        return
    expected = facts.outcomes(story)
    if report.outcome not in expected:
        yield f"{report.outcome}, and not {' or '.join(sorted(expected))}"
    if (report.outcome, report.exit_code) != (closed[1].outcome, closed[1].exit_code):
        yield f"{report.outcome} was told as {closed[1].outcome}"


_CODES: Final = {
    Outcome.CLEAN: ExitCode.OK,
    Outcome.START_FAILED: ExitCode.UNAVAILABLE,
    Outcome.CRASHED: ExitCode.CRASHED,
    Outcome.INCOMPLETE: ExitCode.INCOMPLETE,
}


@holds("R5")
def the_exit_code_is_right(story: Story) -> Iterator[str]:
    """Forced, interrupted, the first that was asked for, the check's, that of the outcome."""
    if story.report is None:
        return
    outcome, code = story.report.outcome, story.report.exit_code
    asked, maybe = facts.asked_codes(story), facts.asked_codes(story, at_the_last=True)
    if outcome is Outcome.FORCED or facts.was_interrupted(story):
        expected = {130}
    elif asked:
        expected = asked
    elif facts.checks_that_exit(story):
        expected = {EXIT_CODE, *maybe}
    else:
        expected = {int(_CODES[outcome]), *maybe}
    if code not in expected:
        yield f"{code}, and not {' or '.join(map(str, sorted(expected)))} ({outcome})"


@holds("S5")
def the_first_cause_is_the_first_error(story: Story) -> Iterator[str]:
    """Where a failure began the end, it is that; and what began it stays the reason."""
    asked = story.first(events.ShutdownRequested)
    if story.report is None or asked is None:
        return
    reason = asked[1].reason
    if story.report.reason != reason:
        yield f"the reason was {reason!r}, and is {story.report.reason!r}"
    if asked[1].trigger is Trigger.FAILURE and "the body" not in reason:
        first = [str(error) for error in story.report.errors if facts.counts_as_first(error)][:1]
        if not any(text.startswith(reason) for text in first):
            yield f"it began with {reason!r}, and the first error is {first}"


@holds("S5")
def the_first_error_is_raised(story: Story) -> Iterator[str]:
    """Or the body's own; it carries the report, and names the others."""
    if story.report is None:  # it was never entered
        return
    errors, error = story.report.errors, story.error
    first = errors[0] if errors else None
    bodies = story.of(BODY, "body")
    own = bodies[0].raised if bodies else None
    if own is None and facts.was_interrupted_first(story) and not _is_interrupt(error):
        yield f"an interrupt came first, and {error!r} was raised"
    if _is_interrupt(error) and facts.was_interrupted(story):
        first = error  # it may have come before all errors, or in the same instant
    if (own is not None or first is not None) and error not in (own, first):
        yield f"the first is {first!r}, the body raised {own!r}, and {error!r} was raised"
    if first is not None and own is None and error is not first:
        yield f"the first is {first!r}, and {error!r} was raised"
    if isinstance(error, RunError) and error is first and error.report is not story.report:
        yield "it does not carry the report"
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("also")]
    if len(notes) < len(errors) - 1:
        yield f"of {len(errors)} errors {len(notes)} are in the notes"


def _is_interrupt(error: BaseException | None) -> bool:
    return isinstance(error, KeyboardInterrupt)


@holds("D10")
def nothing_else_is_raised(story: Story) -> Iterator[str]:
    """A cancellation goes on; who was not let in is told; an interrupt is raised bare."""
    bodies = story.of(BODY, "body")
    if story.report is None or story.report.errors or (bodies and bodies[0].raised is not None):
        return
    error, interrupted = story.error, facts.was_interrupted(story)
    if error is None or story.was_cancelled:
        if interrupted:
            yield f"there was an interrupt, and {error!r} was raised"
        elif error is None and facts.was_cancelled_meanwhile(story):
            yield "it was cancelled from outside, and that does not go on"
        elif error is None and not bodies:
            yield "the body was not reached, and nothing was raised"
    elif not (
        (isinstance(error, KeyboardInterrupt) and interrupted)
        or (isinstance(error, ClosedError) and not bodies)
    ):
        yield f"{error!r} was raised"


@holds("R4")
def the_body_is_cancelled_for_a_reason_only(story: Story) -> Iterator[str]:
    """A crash, the end of the time to drain, or somebody outside."""
    for call in story.of(BODY, "body"):
        if call.cancelled_at is None or facts.has_passed_deadline(story, call.cancelled_at):
            continue
        reasons = (events.ComponentCrashed, events.WorkCancelled)
        if not any(
            isinstance(one, reasons) or (isinstance(one, Deed) and one.what == "cancelled")
            for one in story.log[: call.ended]
        ):
            yield f"at {call.cancelled_at:g} s"


# --- around it -----------------------------------------------------------------------------------


@holds("B3", timed=True)
def who_waits_at_a_gate_is_told_at_once(story: Story) -> Iterator[str]:
    """When it is decided that a component is ready, or will never be."""
    asked = story.first(events.ShutdownRequested)
    for wait in story.waits:
        settled = facts.settled(story, wait.part)
        decided = [one[1] for one in (settled,) if one is not None]
        decided += [] if asked is None else [asked[1].at]
        if wait.ended_at > max(wait.began_at, min(decided)) + EPSILON:
            yield f"who waited for {name_of(wait.part)} was told at {wait.ended_at:g} s"
        if wait.error is not None and not isinstance(wait.error, RunError):
            yield f"who waited for {name_of(wait.part)} was told {wait.error!r}"


@holds("K1")
def a_component_lives_in_one_task(story: Story) -> Iterator[str]:
    """From its start to its stop."""
    for part in {call.part for call in story.calls if call.part != BODY}:
        calls = story.of(part, "life", "start", "drain", "stop", "enter", "leave")
        if len({call.task for call in calls}) > 1:
            yield f"{name_of(part)} was called in {len({call.task for call in calls})} tasks"


@holds("K3")
def what_its_start_has_set_is_there_until_its_end(story: Story) -> Iterator[str]:
    """A context variable, in its drain and its stop."""
    for part in story.parts:
        if story.script.parts[part].kind not in {"plain service", "main"}:
            for call in story.of(part, "drain", "stop"):
                if call.context != part:
                    yield f"the {call} found {call.context}"


@holds("K4")
def sync_code_runs_in_a_thread_of_its_own(story: Story) -> Iterator[str]:
    """The same one for all hooks of a component, and never on the loop."""
    on_loop = {call.thread for call in story.calls if call.part not in story.parts}
    seen: dict[int, int] = {}
    for part in story.parts:
        of_part = {call.thread for call in story.of(part, "start", "drain", "stop")}
        if not story.script.parts[part].is_sync:
            on_loop |= of_part
        elif of_part:
            if len(of_part) > 1:
                yield f"{name_of(part)} ran in {len(of_part)} threads"
            seen[part] = min(of_part)
    for part, thread in seen.items():
        if thread in on_loop:
            yield f"{name_of(part)} ran on the loop"
    if len(on_loop) > 1:
        yield "async code ran in a thread"
