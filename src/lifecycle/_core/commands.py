"""What the machine tells the engine to do. Facts go in, these come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from lifecycle.states import Phase


class Start(NamedTuple):
    """Call the start hook."""

    component: int


class Skip(NamedTuple):
    """Tell who waits that it will not be started."""

    component: int
    because_of: int | None
    """What it requires and what failed; None where the start was given up."""


class Cancel(NamedTuple):
    """Cancel the start that is under way."""

    component: int


class Drain(NamedTuple):
    """Call the drain hook."""

    component: int


class HasDrained(NamedTuple):
    """Note that a component's hook has ended and nothing of its own is in flight any more."""

    component: int


class CutWork(NamedTuple):
    """Cancel what is in flight; all of it is to be released soon after, or written off."""

    component: int | None
    """Of one component; None: of everyone, and the body too."""


class CutDrain(NamedTuple):
    """Cancel the drain hook that is under way."""

    component: int


class CutBody(NamedTuple):
    """Cancel the body: the time to drain is over, and its holds have ended."""


class Stop(NamedTuple):
    """Call the stop hook."""

    component: int
    drain: bool
    """Whether it was never asked to drain, and does so as the first part of its stop."""


class Enter(NamedTuple):
    """A new phase has begun."""

    phase: Phase


class CancelBody(NamedTuple):
    """Cancel the body of ``running``."""


class Settled(NamedTuple):
    """Every component has ended: end the companions, then say `closed`."""


Command: TypeAlias = (
    Start
    | Skip
    | Cancel
    | Drain
    | HasDrained
    | CutWork
    | CutDrain
    | CutBody
    | Stop
    | Enter
    | CancelBody
    | Settled
)
