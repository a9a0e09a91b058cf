"""The words for where a system, and each of its components, stands."""

from __future__ import annotations

import enum


class Phase(str, enum.Enum):
    """Where a whole system is in its life."""

    PREFLIGHT = "preflight"
    """Companions start and preflight checks run. No component has been started."""
    STARTING = "starting"
    """Components start, each the moment its dependencies are ready."""
    RUNNING = "running"
    """The start is over: every component is ready, or failed and may."""
    DELAYING = "delaying"
    """A shutdown was asked for: not ready, and still serving, for the length of the drain delay."""
    DRAINING = "draining"
    """No new work is taken, work in flight is finished, dependents before dependencies."""
    CLOSING = "closing"
    """Components stop, dependents before dependencies."""
    ROLLING_BACK = "rolling back"
    """The start failed: what had started is drained and stopped, in reverse."""
    CLOSED = "closed"
    """Everything has ended, or was abandoned."""

    def __str__(self) -> str:
        return self.value


class State(str, enum.Enum):
    """Where one component is in its life."""

    PENDING = "pending"
    """Declared; waits for what it requires, wants or comes after."""
    STARTING = "starting"
    """Its start hook runs."""
    READY = "ready"
    """Started; its gate is open."""
    DRAINING = "draining"
    """Takes no new work and finishes what is in flight."""
    DRAINED = "drained"
    """Nothing of its own is in flight any more. Its gate is still open: others drain through it."""
    STOPPING = "stopping"
    """Its stop hook runs."""
    STOPPED = "stopped"
    """Ended. Also the end of a start that was cancelled and has unwound."""
    FAILED = "failed"
    """Its start failed, or it crashed."""
    SKIPPED = "skipped"
    """Never started: what it requires failed, or the start was given up."""

    def __str__(self) -> str:
        return self.value


class Outcome(str, enum.Enum):
    """How the life of a system went, as a whole."""

    CLEAN = "clean"
    """Everything that was asked to stop did so in time, and nothing was cut off."""
    START_FAILED = "start failed"
    """A component, companion or preflight check did not start or pass; the rest was rolled back."""
    CRASHED = "crashed"
    """A component ended by itself while the system ran."""
    INCOMPLETE = "incomplete"
    """Asked to stop, but work was cancelled, or a hook failed or was abandoned."""
    FORCED = "forced"
    """A second interrupt cut the shutdown short."""

    def __str__(self) -> str:
        return self.value


class Trigger(str, enum.Enum):
    """What set the shutdown of a system off: the kind of its reason."""

    SIGNAL = "signal"
    """A signal, or a KeyboardInterrupt."""
    REQUEST = "request"
    """Somebody asked: ``shut_down()``, a service that may, or a ``SystemExit``."""
    END = "end"
    """What it was for has ended: the body of ``running``, or a main."""
    FAILURE = "failure"
    """Something failed: a check, a start, a component that crashed, or the body."""
    CANCELLATION = "cancellation"
    """The task that it runs in was cancelled from outside."""

    def __str__(self) -> str:
        return self.value


class ExitCode(enum.IntEnum):
    """The exit codes of :func:`lifecycle.run`, after BSD's ``sysexits.h``.

    A code of the user's own (``shut_down(exit_code=…)``, the integer of a ``main``, a preflight
    command's) and that of a forced end (128 plus the signal) come before these.
    """

    OK = 0
    """Clean, whatever the signal was."""
    UNAVAILABLE = 69
    """A component, companion or preflight check did not start or pass (``EX_UNAVAILABLE``)."""
    CRASHED = 70
    """A component crashed (``EX_SOFTWARE``)."""
    INCOMPLETE = 75
    """Asked to stop, but work was cancelled, a hook failed or was abandoned (``EX_TEMPFAIL``)."""
    CONFIG = 78
    """The declaration or the settings are wrong (``EX_CONFIG``)."""
