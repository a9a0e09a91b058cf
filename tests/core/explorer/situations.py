"""When two situations are the same, as far as everything that can come of them is concerned.

A situation is what the machine remembers and what the engine knows. Two have the same `key` only
where whatever can be said in one can be said in the other, and leads to situations that have the
same key again. So it is enough to look at one situation of each key. Everything that either of the
two remembers is in the key, unless it is named here, with the reason why it has no future:

**Numbers.** Of all ways to number the components so that dependencies come before dependents, the
one with the least key is taken. The machine uses the order only to sort what it says at one time
(`orders` checks that order).

**The dead.** What was skipped, has unwound, or was stopped is left out, with its edges: it was
counted down from whatever waited for it, nothing can be said of it any more, and it is not moved
again. So a system of four of which one was skipped is a system of three.

**Edges.** Whether an edge is hard matters until its dependent has been started or skipped. After
that a dependent is a dependent (rule G3).

**Optional** matters until the drain begins. After that no crash changes the phase; and whether one
cancels the body (`Driver` checks it, each time) matters only where the drain waits for the body:
which an earlier crash has cancelled.

**Stages.** What the start remembers has no future when the drain has begun, and what the drain and
the body remember has none when the close has, but for whether a component was asked to drain.

**The body**, where it is not in flight, matters to the drain only where that waits for it, and else
as long as it can be in flight again: not when it has ended, or work is accepted no longer.

**Work** is not counted before the drain begins (`held` and `released` only count), but taken in
just before what begins it: by nobody, and by everyone; whoever is to hold nothing then releases it
at once. Work of what has drained, of what is dead, and of what will be when it has unwound, is work
of the system: it is waited for, and cut, as such. Two pieces of work of one owner are one: the last
that ends is the one that matters; so where there are two, one is released at once (`shed`).

**What is cut.** A hook that has ended, and a component that has drained, is cut no more: how much
of its time was over has no future then. Work that was written off is as work that never was.

**History.** What is only remembered to judge the outcome is set once, and asked of no one: each
step is judged by itself.

`tests/core/test_machine_reductions.py` holds all this against explorations that reduce nothing.
"""

from __future__ import annotations

import enum
import functools
import itertools
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.core.explorer.driver import Driver
from tests.core.explorer.facts import ENDS_BY_ITSELF, Action
from tests.core.explorer.graphs import SOFT, unconnected
from tests.core.explorer.memory import parts_of
from tests.core.explorer.view import (
    CANCELLED,
    CUT,
    DRAINED,
    ENDED,
    EXPIRED,
    GONE,
    IDLE,
    NONE,
    OVER,
    READY,
    RUNNING,
    SKIPPED,
    STARTS,
    STOPPED,
    SYSTEM,
    WAITS,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Row = dict[str, Any]
"""What is remembered of one component, or of all: the path of the attribute, and the value."""
Edge = tuple[int, int, int]
"""The dependent, the dependency, and the kind."""


class Stage(enum.IntEnum):
    """What is going on."""

    START = 0
    RUN = 1
    DRAIN = 2
    CLOSE = 3


def stage_of(view: View) -> Stage:
    """What is going on."""
    if view.closing:
        return Stage.CLOSE
    if view.phase in STARTS:
        return Stage.START
    return Stage.RUN if view.phase in RUNNING else Stage.DRAIN


def is_looked_at_elsewhere(view: View, action: Action) -> bool:
    """Whether saying it leads to nothing that is not met otherwise: see Work."""
    if action.name != "held" or action.who is None:
        return False
    return stage_of(view) < Stage.DRAIN or (action.who != SYSTEM and view.has_drained(action.who))


_HISTORY = ("view.blame", "view.lost", "view.ran", "view.began")
_OF_START = ("machine._starting._unsettled_of", "machine._starting._unsettled")
_OF_BODY = (
    "view.body",
    "view.body_in_flight",
    "view.body_was_cut",
    "view.body_was_cancelled",
    "view.body_was_given_up",
    "view.awaits_body",
    "machine._in_flight.body",
    "machine._in_flight.body_is_there",
    "machine._draining._body_is_cut",
    "machine._draining.awaits_body",
)
_OF_WORK = ("view.holds", "view.cut_holds", "machine._in_flight._work_of")
_OF_HOOK = ("view.hook_goes_on", "view.cut", "view.cut_hook", "machine._draining._is_cut")
_OF_DRAIN = (
    "view.timed_out",
    "machine._draining._has_no_time",
    "machine._draining._undrained_of",
    *_OF_HOOK,
)
_OF_DRAINS = (
    "view.over",
    "machine._draining.time_is_over",
    "machine._draining._undrained",
    "machine._draining._hooks",
)


def shed(driver: Driver) -> None:
    """Leave the system one piece of work, where it has more."""
    view = driver.view
    if not any(view.holds) or stage_of(view) is not Stage.DRAIN:
        return
    belongs_to_system = [who for who in view.everyone if view.holds[who] and not _is_own(view, who)]
    for who in belongs_to_system[not view.holds[SYSTEM] :]:
        driver.say(Action("released", who, ENDS_BY_ITSELF))


def _is_own(view: View, who: int) -> bool:
    """Whether work of a component, while all drains, is not the same as work of the system."""
    return view.start[who] == CANCELLED or (view.start[who] == READY and view.drain[who] != DRAINED)


def _paths(driver: Driver) -> tuple[list[str], list[str]]:
    """Where a view and a machine keep what they remember: of each component, and of all."""
    of_component, of_all = [], []
    for part, thing in (("view", driver.view), *parts_of("machine", driver.machine)):
        for name, value in vars(thing).items():
            if isinstance(value, list | bytearray) and len(value) >= driver.view.graph.size:
                of_component.append(f"{part}.{name}")
            elif isinstance(value, bool | int | str):
                of_all.append(f"{part}.{name}")
    return of_component, of_all


_OF_COMPONENT, _OF_ALL = _paths(Driver(unconnected(7)))
_columns, _scalars = attrgetter(*_OF_COMPONENT), attrgetter(*_OF_ALL)


class Key(NamedTuple):
    """What tells a situation from others that may have another future."""

    stage: Stage
    of_all: int
    shape: tuple[int, tuple[Edge, ...]]
    """How many components live, and the edges between them."""
    of_components: tuple[int, ...]


def key(driver: Driver) -> Key:
    """What tells this situation from others that may have another future."""
    view = driver.view
    stage = stage_of(view)
    # What has one place more has it for the system.
    rows = zip(view.graph.optional, *_columns(driver), strict=False)
    known = [_of_component(stage, *row) for row in rows]
    holds = view.holds[SYSTEM] + sum([holds for _, holds in known])
    of_all = _of_all(stage, sum(view.holds), holds, view.cut[SYSTEM], *_scalars(driver))
    living = [number for number, _ in known]
    edges = tuple(
        [
            (one, other, kind if stage is Stage.START and view.start[one] == IDLE else SOFT)
            for one, other, kind in view.graph.edges
            if living[one] and living[other]
        ]
    )
    shape, orders = _numbered(tuple(map(bool, living)), edges)
    if edges:
        of_components = min([tuple([living[who] for who in order]) for order in orders])
    else:
        of_components = tuple(sorted(filter(None, living)))
    return Key(stage, of_all, shape, of_components)


numbers: dict[object, int] = {}
"""A number for each thing that was met, so that keys are short."""


def _number(thing: object) -> int:
    """Give a number for it, from 1, that nothing else has."""
    return numbers.setdefault(thing, len(numbers) + 1)


@functools.cache
def _of_component(stage: Stage, *values: Any) -> tuple[int, int]:
    """Number what counts of one component, 0 where it is dead; how much work is the system's."""
    row: Row = dict(zip(("optional", *_OF_COMPONENT), values, strict=True))
    start, drain, holds = row["view.start"], row["view.drain"], row["view.holds"]
    if start in (GONE, SKIPPED) or row["view.stop"] == STOPPED:
        return 0, holds
    ignored = [*_HISTORY]
    if stage is not Stage.START:
        ignored += _OF_START
    if stage >= Stage.DRAIN:
        ignored += ("optional",)
    if stage is not Stage.DRAIN:
        ignored += _OF_WORK
    elif start == EXPIRED or drain == DRAINED:
        ignored += (*_OF_WORK, *_OF_DRAIN)
    elif drain == ENDED:
        ignored += _OF_HOOK
    if stage is Stage.CLOSE:
        ignored += (*_OF_DRAIN, "view.drain", "machine._draining._come")
        row["was asked"] = drain != IDLE, row["machine._draining._come"] > 0
    row["view.cut"] = row["view.cut"] == CUT
    # How much it is does not matter, but the machine has to count the same.
    row["machine._in_flight._work_of"] -= holds
    row["view.holds"] = holds > 0
    row["view.cut_holds"] = row["view.cut_holds"] > 0
    of_system = "view.holds" in ignored
    return _number(_without(row, ignored)), holds if of_system else 0


@functools.cache
def _of_all(stage: Stage, holds: int, holds_of_system: int, cut: int, *values: Any) -> int:
    """Number what counts of all."""
    row: Row = dict(zip(_OF_ALL, values, strict=True))
    ignored = [*_HISTORY]
    if stage is not Stage.START:
        ignored += _OF_START
    if stage is Stage.DRAIN:
        row["holds of the system"] = holds_of_system > 0
        row["view.cut of the system"] = cut == CUT
        if not row["view.awaits_body"]:
            ignored += ("view.body_was_cancelled", "view.body_was_given_up")
        if not row["view.body_in_flight"] and not row["view.awaits_body"]:
            if row["view.over"] or row["view.body"] in (NONE, OVER):
                ignored += _OF_BODY
            row["view.body"] = WAITS
    elif stage is Stage.CLOSE:
        ignored += (*_OF_BODY, *_OF_DRAINS)
    row["machine._in_flight._work"] -= holds
    return _number(_without(row, ignored))


def _without(row: Row, ignored: Sequence[str]) -> tuple[object, ...]:
    return tuple(one for one in row.items() if one[0] not in ignored)


@functools.cache
def _numbered(
    living: tuple[bool, ...], edges: tuple[Edge, ...]
) -> tuple[tuple[int, tuple[Edge, ...]], list[tuple[int, ...]]]:
    """Find the least way to write the edges of the living, and all ways to number them for that."""
    members = [who for who, lives in enumerate(living) if lives]
    forms: dict[tuple[Edge, ...], list[tuple[int, ...]]] = {}
    for order in itertools.permutations(members):
        place = {who: number for number, who in enumerate(order)}
        if all(place[other] < place[one] for one, other, _ in edges):
            form = tuple(sorted((place[one], place[other], kind) for one, other, kind in edges))
            forms.setdefault(form, []).append(order)
    least = min(forms)
    return (len(members), least), forms[least]


def everything(driver: Driver) -> Hashable:
    """All that is remembered, but for what nobody is asked: what tells any two situations apart."""
    columns = zip(_OF_COMPONENT, _columns(driver), strict=True)
    scalars = zip(_OF_ALL, _scalars(driver), strict=True)
    return (
        *(bytes(value) if isinstance(value, bytearray) else tuple(value) for _, value in columns),
        *(value for name, value in scalars if name not in _HISTORY),
    )
