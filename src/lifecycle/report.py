"""What is known of a system: while it runs (`Status`), and when it is over (`Report`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from lifecycle._record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.errors import Hook
    from lifecycle.states import Outcome, Phase, State


@attrs.frozen(eq=False, repr=False)
class Work(Record):
    """A piece of work in flight, or one that was cut off."""

    what: str
    component: str | None = None
    """Whose it is; None where it belongs to the system as a whole."""
    age: float = 0.0
    """For how many seconds it has been in flight."""


@attrs.frozen(eq=False, repr=False)
class Abandoned(Record):
    """A hook that went on after its cancellation and was left behind."""

    component: str
    hook: Hook
    stack: str
    """Where it was, as a traceback."""


@attrs.frozen(eq=False, repr=False)
class ComponentReport(Record):
    """What became of one component."""

    name: str
    state: State
    """The last one."""
    error: BaseException | None = None
    start_time: float | None = None
    """How long its start took, in seconds; None where it did not begin. Likewise the next two."""
    drain_time: float | None = None
    stop_time: float | None = None
    optional: bool = False
    requires: tuple[str, ...] = ()
    """What it depends on, by name, in whichever way."""


@attrs.frozen(eq=False, repr=False)
class Report(Record):
    """The account of one run of a system."""

    outcome: Outcome
    exit_code: int
    reason: str
    """Why it was shut down: the signal, the caller's words, or the first failure."""
    errors: tuple[BaseException, ...] = ()
    """Everything that went wrong, in the order in which it did; the first cause is the first."""
    components: Mapping[str, ComponentReport] = attrs.field(factory=dict[str, ComponentReport])
    in_flight: tuple[Work, ...] = ()
    """Work that was cut off."""
    abandoned: tuple[Abandoned, ...] = ()
    duration: float = 0.0
    """From when ``running`` was entered to the end, companions included, in seconds."""


@attrs.frozen(eq=False, repr=False)
class CheckResult(Record):
    """What came of asking a component whether it is in order."""

    component: str
    name: str
    """The name of the function that was asked."""
    ok: bool
    liveness: bool = False
    """Whether its failure means that the process can do no work any more."""
    error: str | None = None
    """The type of what it raised, ``timeout``, or ``returned False``."""
    message: str | None = None
    """The text of the error. It may hold secrets: probes show it only with ``probe_details``."""
    duration: float = 0.0
    """How long it took, in seconds; one that is stuck, how long so far."""
    age: float = 0.0
    """How many seconds ago that was."""


@attrs.frozen(eq=False, repr=False)
class ComponentStatus(Record):
    """How one component stands at this moment."""

    name: str
    state: State
    since: float
    """For how many seconds it has been in that state."""
    optional: bool = False
    error: str | None = None
    """The type of what went wrong with it; messages may hold secrets and are not shown here."""
    unavailable: str | None = None
    """The reason that it gave to ``Lifetime.unavailable``."""
    start_time: float | None = None
    waits_for: tuple[str, ...] = ()
    time_left: float | None = None
    """What the hook that runs now has left, in seconds; None where none does."""
    requires: tuple[str, ...] = ()
    """What it depends on, by name, in whichever way."""
    checks: tuple[CheckResult, ...] = ()
    """What its checks said when they were last asked."""


@attrs.frozen(eq=False, repr=False)
class Status(Record):
    """How a system stands at this moment; a snapshot that does not change."""

    phase: Phase
    ready: bool
    """Whether new work should be sent here."""
    reason: str | None
    """Why it shuts down, once it does."""
    components: Mapping[str, ComponentStatus]
    in_flight: tuple[Work, ...]
    time_left: float | None = None
    """What is left of the grace period, in seconds, once it runs."""
    outcome: Outcome | None = None
    """How it went, once every component has ended; what companions still do can change it."""
    exit_code: int | None = None
    """Likewise."""
    started: bool = False
    """Whether the start was done, as it stays from then on."""
    error: str | None = None
    """The type of the failure for which it shuts down; None where somebody asked for it."""

    def to_json(self) -> str:
        """The same as a JSON document, durations in seconds."""
        return json.dumps(attrs.asdict(self), ensure_ascii=False, default=str)
