"""What the machine tells the engine to do. Facts go in, these come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from lifecycle.states import Phase


class _OfOne(NamedTuple):
    """What concerns one component, and says nothing else."""

    component: int


class Start(_OfOne):
    """Call the start hook."""

    __slots__ = ()


class Skip(NamedTuple):
    """Tell who waits that it will not be started."""

    component: int
    because_of: int | None
    """What it requires and what failed; None where the start was given up."""


class Cancel(_OfOne):
    """Cancel the start that is under way."""

    __slots__ = ()


class Drain(_OfOne):
    """Call the drain hook."""

    __slots__ = ()


class HasDrained(_OfOne):
    """Note that a component's hook has ended and nothing of its own is in flight any more."""

    __slots__ = ()


class CutWork(NamedTuple):
    """Cancel what is in flight; all of it is to be released soon after, or written off."""

    component: int | None
    """Of one component; None: of everyone, and the body too."""


class CutDrain(_OfOne):
    """Cancel the drain hook that is under way."""

    __slots__ = ()


class _OfAll(NamedTuple):
    """What says nothing else."""


class CutBody(_OfAll):
    """Cancel the body: the time to drain is over, and its holds have ended."""

    __slots__ = ()


class Stop(NamedTuple):
    """Call the stop hook."""

    component: int
    drain: bool
    """Whether it was never asked to drain, and does so as the first part of its stop."""


class Enter(NamedTuple):
    """A new phase has begun."""

    phase: Phase


class CancelBody(_OfAll):
    """Cancel the body of ``running``."""

    __slots__ = ()


class Settled(_OfAll):
    """Every component has ended: end the companions, then say `closed`."""

    __slots__ = ()


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
