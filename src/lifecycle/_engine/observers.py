"""Telling observers what happens, without letting them affect it."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import attrs

from lifecycle import events
from lifecycle.errors import ClosedError, one_line, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("lifecycle")

LEAST_LEVEL = logging.INFO
"""The lowest level that any event is logged at."""


def tell(observers: Sequence[events.Observer], event: events.Event) -> None:
    """Tell every observer, and the log."""
    for observer in (log, *observers):
        try:
            observer(event)
        except BaseException:  # noqa: PERF203  whatever it raises, the run goes on
            with contextlib.suppress(BaseException):  # the log itself may be what failed
                logger.exception("an observer failed on %s", type(event).__name__)


def log(event: events.Event) -> None:
    """The standard observer: one line to the logger ``lifecycle``, the fields in ``extra``."""
    level = _level(event)
    if logger.isEnabledFor(level):
        fields = attrs.asdict(event, recurse=False)
        logger.log(level, "%s", line(event), extra={"event": type(event).__name__, **fields})


def _level(event: events.Event) -> int:
    if isinstance(event, (events.HookAbandoned, events.ComponentCrashed, events.WorkCancelled)):
        return logging.ERROR
    error = getattr(event, "error", None)
    if error is not None and not isinstance(error, ClosedError):
        return logging.ERROR
    if isinstance(event, events.AvailabilityChanged) and event.unavailable is not None:
        return logging.WARNING
    if isinstance(event, events.HealthChanged) and event.failure is not None:
        return logging.WARNING
    return logging.INFO


def line(event: events.Event) -> str:
    """What happened, in one line."""
    fields = attrs.asdict(event, recurse=False)
    error = fields.get("error")
    kind = type(event)
    template = _LINES[kind] if error is None else _FAILED.get(kind, _LINES[kind])
    fields["took"] = seconds(fields.get("duration", 0.0))
    text = template.format(**fields)
    if isinstance(error, BaseException):
        text += f": {one_line(error)}"
    if isinstance(event, events.ComponentSkipped) and event.because_of is not None:
        text += f" because of {event.because_of}"
    if isinstance(event, events.AvailabilityChanged) and event.unavailable is None:
        text = f"{event.component} is available again"
    if isinstance(event, events.HealthChanged) and event.failure is None:
        text = f"{event.check} of {event.component} passes again"
    return text


_LINES: dict[type[object], str] = {
    events.PhaseChanged: "{phase}",
    events.ShutdownRequested: "shutting down: {reason}",
    events.CompanionStarting: "companion {companion} starts",
    events.CompanionStarted: "companion {companion} started ({took})",
    events.CompanionStopping: "companion {companion} stops",
    events.CompanionStopped: "companion {companion} stopped ({took})",
    events.CheckStarting: "check {check} runs",
    events.CheckEnded: "check {check} ended ({took})",
    events.ComponentStarting: "{component} starts",
    events.ComponentStarted: "{component} started ({took})",
    events.ComponentRetrying: "{component} is tried again in {delay:g} s, attempt {attempt} failed",
    events.ComponentSkipped: "{component} is skipped",
    events.ComponentDraining: "{component} drains",
    events.ComponentDrained: "{component} drained ({took})",
    events.ComponentStopping: "{component} stops",
    events.ComponentStopped: "{component} stopped ({took})",
    events.ComponentCrashed: "{component} crashed",
    events.AvailabilityChanged: "{component} is unavailable: {unavailable}",
    events.HealthChanged: "{check} of {component} fails: {failure}",
    events.WorkCancelled: "work of {component} was cut off: {what}",
    events.HookAbandoned: "the {hook} hook of {component} was abandoned at\n{stack}",
    events.Closed: "closed: {outcome}, exit code {exit_code} ({took})",
}
_FAILED: dict[type[object], str] = {
    events.CompanionStarted: "companion {companion} did not start ({took})",
    events.ComponentStarted: "{component} did not start ({took})",
}
"""Those that say something else where it went wrong."""
