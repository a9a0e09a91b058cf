"""The two transition tables: of one component, and of the system.

The tables are data. The machine runs them and has no other way to change a state; the docs draw
them. What a table does not list cannot happen: a fact that does not fit is a fault of the engine
and raises at once.
"""

from __future__ import annotations

import enum
from typing import Final, TypeVar

from lifecycle.states import Phase, State


class Fact(str, enum.Enum):
    """What can happen to one component."""

    START = "start"
    """Its turn has come: everything that it depends on is settled."""
    SKIP = "skip"
    """It will not be started."""
    STARTED = "started"
    START_FAILED = "start failed"
    UNWOUND = "unwound"
    """Its cancelled start has ended, or was abandoned."""
    DRAIN = "drain"
    DRAINED = "drained"
    STOP = "stop"
    STOPPED = "stopped"
    CRASHED = "crashed"


class Cause(str, enum.Enum):
    """What can move the whole system on."""

    BEGIN = "begin"
    """The preflight checks passed."""
    ALL_SETTLED = "all settled"
    """Every component is ready, failed or skipped."""
    START_FAILED = "start failed"
    DELAY = "delay"
    """A shutdown was asked for that leaves the drain delay its time."""
    DRAIN = "drain"
    """A shutdown was asked for without a delay, or the delay is over."""
    CLOSE = "close"
    """Everything is drained and nothing is in flight, or the time for that is over."""
    CLOSED = "closed"
    """Everything has ended, the companions too."""


COMPONENT: Final[dict[State, dict[Fact, State]]] = {
    State.PENDING: {
        Fact.START: State.STARTING,
        Fact.SKIP: State.SKIPPED,
    },
    State.STARTING: {
        Fact.STARTED: State.READY,
        Fact.START_FAILED: State.FAILED,
        Fact.UNWOUND: State.STOPPED,
    },
    State.READY: {
        Fact.DRAIN: State.DRAINING,
        Fact.STOP: State.STOPPING,
        Fact.CRASHED: State.FAILED,
    },
    State.DRAINING: {
        Fact.DRAINED: State.DRAINED,
        Fact.STOP: State.STOPPING,
        Fact.CRASHED: State.FAILED,
    },
    State.DRAINED: {
        Fact.STOP: State.STOPPING,
        Fact.CRASHED: State.FAILED,
    },
    State.STOPPING: {
        Fact.STOPPED: State.STOPPED,
        Fact.CRASHED: State.STOPPING,
    },
    # What failed is never ready again. What crashed still has its turn to drain and to stop.
    State.FAILED: {
        Fact.UNWOUND: State.FAILED,
        Fact.DRAIN: State.FAILED,
        Fact.DRAINED: State.FAILED,
        Fact.STOP: State.FAILED,
        Fact.STOPPED: State.FAILED,
        Fact.CRASHED: State.FAILED,
    },
    State.STOPPED: {},
    State.SKIPPED: {},
}

SYSTEM: Final[dict[Phase, dict[Cause, Phase]]] = {
    Phase.PREFLIGHT: {
        Cause.BEGIN: Phase.STARTING,
        Cause.START_FAILED: Phase.ROLLING_BACK,
        Cause.DRAIN: Phase.DRAINING,
    },
    Phase.STARTING: {
        Cause.ALL_SETTLED: Phase.RUNNING,
        Cause.START_FAILED: Phase.ROLLING_BACK,
        Cause.DRAIN: Phase.DRAINING,
    },
    Phase.RUNNING: {
        Cause.DELAY: Phase.DELAYING,
        Cause.DRAIN: Phase.DRAINING,
    },
    Phase.DELAYING: {
        Cause.DRAIN: Phase.DRAINING,
    },
    Phase.DRAINING: {
        Cause.CLOSE: Phase.CLOSING,
    },
    # A rollback drains before it stops as well; it is one phase to the outside.
    Phase.ROLLING_BACK: {
        Cause.CLOSE: Phase.ROLLING_BACK,
        Cause.CLOSED: Phase.CLOSED,
    },
    Phase.CLOSING: {
        Cause.CLOSED: Phase.CLOSED,
    },
    Phase.CLOSED: {},
}

S = TypeVar("S")
F = TypeVar("F")


def follow(table: dict[S, dict[F, S]], state: S, fact: F) -> S:
    """The state that a fact leads to.

    Raises:
        RuntimeError: the table knows no such step.

    """
    try:
        return table[state][fact]
    except KeyError:
        message = f"{state!r} does not take {fact!r}: a fault of lifecycle itself, please report it"
        raise RuntimeError(message) from None
