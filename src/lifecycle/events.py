"""What an observer is told: one frozen object for each thing that happens.

The union is closed: :data:`Event` lists all of them. Each hook has an -ing event when it is called
and an -ed one, with its duration and error, when it has ended. Times are those of the event loop's
clock, in seconds, so that they are virtual where the loop's time is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from lifecycle._record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.errors import Hook
    from lifecycle.states import Outcome, Phase, Trigger


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Event(Record):
    at: float
    """When it happened, on the loop's clock, in seconds."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Ended(_Event):
    duration: float
    """How long it took, in seconds."""
    error: BaseException | None = None
    """What went wrong, if anything did."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PhaseChanged(_Event):
    """The system has entered a new phase."""

    phase: Phase


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ShutdownRequested(_Event):
    """A shutdown was asked for, or follows from a failure; only the first is told of."""

    reason: str
    """Why, for people. That of a failure has the message of the error in it."""
    trigger: Trigger
    """What kind of reason that is."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CompanionStarting(_Event):
    """A companion is being entered."""

    companion: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CompanionStarted(_Ended):
    """A companion was entered, or could not be."""

    companion: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CompanionStopping(_Event):
    """A companion is being left: everything else has ended."""

    companion: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CompanionStopped(_Ended):
    """A companion has ended."""

    companion: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CheckStarting(_Event):
    """A preflight check is being made."""

    check: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CheckEnded(_Ended):
    """A preflight check has passed, or failed."""

    check: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentStarting(_Event):
    """A component's start hook is called."""

    component: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentStarted(_Ended):
    """A component is ready, or its start failed."""

    component: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentRetrying(_Event):
    """An attempt to start failed, and another one follows."""

    component: str
    attempt: int
    """The number of the attempt that failed, from 1."""
    delay: float
    """The pause before the next one, in seconds."""
    error: BaseException


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentSkipped(_Event):
    """A component will not be started."""

    component: str
    because_of: str | None
    """What it requires and what failed; None where the start was given up."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentDraining(_Event):
    """A component takes no new work from here on."""

    component: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentDrained(_Ended):
    """A component has nothing of its own in flight any more."""

    component: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentStopping(_Event):
    """A component's stop hook is called."""

    component: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentStopped(_Ended):
    """A component has ended."""

    component: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComponentCrashed(_Event):
    """A component ended by itself while it was to run."""

    component: str
    error: BaseException


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AvailabilityChanged(_Event):
    """A component took the service out of rotation, or back into it."""

    component: str
    unavailable: str | None
    """The reason; None where it is available again."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HealthChanged(_Event):
    """A check of a component fails from here on, or passes again."""

    component: str
    check: str
    liveness: bool
    """Whether its failure means that the process can do no work any more."""
    failure: str | None
    """The type of what it raised, ``timeout``, or ``returned False``; None where it passes."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WorkCancelled(_Event):
    """Work in flight was cut off."""

    component: str | None
    what: tuple[str, ...]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HookAbandoned(_Event):
    """A hook went on after its cancellation and was left behind."""

    component: str
    hook: Hook
    stack: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Closed(_Ended):
    """Everything is over."""

    outcome: Outcome
    exit_code: int
    trigger: Trigger
    """What had set the shutdown off."""


Event: TypeAlias = (
    PhaseChanged
    | ShutdownRequested
    | CompanionStarting
    | CompanionStarted
    | CompanionStopping
    | CompanionStopped
    | CheckStarting
    | CheckEnded
    | ComponentStarting
    | ComponentStarted
    | ComponentRetrying
    | ComponentSkipped
    | ComponentDraining
    | ComponentDrained
    | ComponentStopping
    | ComponentStopped
    | ComponentCrashed
    | AvailabilityChanged
    | HealthChanged
    | WorkCancelled
    | HookAbandoned
    | Closed
)
"""Every event that there is."""

Observer: TypeAlias = "Callable[[Event], object]"
"""One callable that is told every event, on the event loop's thread."""
