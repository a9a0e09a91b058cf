"""Telling observers what happens, without letting them affect it."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import attrs

from lifecycle import events
from lifecycle._core import calls
from lifecycle.errors import ClosedError, RunError, one_line, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger("lifecycle")

_ERRORS: frozenset[object] = frozenset(
    {events.HookAbandoned, events.ComponentCrashed, events.WorkCancelled}
)
"""Those that are errors in themselves."""


def refuse(taker: str, observer: object) -> None:
    """Refuse what cannot observe, or would only seem to.

    Args:
        taker: what it was passed to.
        observer: what was passed.

    Raises:
        TypeError: it cannot be called, or nothing would run when it is.
    """
    if not callable(observer):
        message = f"{taker} takes observers that can be called, and {observer!r} cannot"
        raise TypeError(message)
    if calls.is_async(observer) or calls.is_generator(observer):
        message = (
            f"{taker} takes observers that are called and not awaited, and {observer!r} is async, "
            "or a generator: nothing of it would run. Write it with def, and let it put events "
            "where they are awaited"
        )
        raise TypeError(message)


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
    fields = attrs.asdict(event, recurse=False)
    level = _level(type(event), fields)
    if logger.isEnabledFor(level):
        extra = {"event": type(event).__name__, **fields}
        logger.log(level, "%s", line(event), exc_info=_to_be_shown(event), extra=extra)


def _to_be_shown(event: events.Event) -> BaseException | None:
    """What users' code raised, with its traceback: of an optional component it stands nowhere else.

    Once: not for each attempt of a start, and not again at the end.
    """
    error: BaseException | None = getattr(event, "error", None)
    if error is None or isinstance(event, (events.ComponentRetrying, events.Closed)):
        return None
    raised = error.__cause__ if isinstance(error, RunError) else error
    return raised if raised is not None and raised.__traceback__ is not None else None


def is_logged(kind: Callable[..., events.Event], fields: Mapping[str, Any]) -> bool:
    """Whether the log takes an event of this kind: it is not made for nothing."""
    return logger.isEnabledFor(_level(kind, fields))


def _level(kind: object, fields: Mapping[str, Any]) -> int:
    if kind is events.ComponentRetrying:
        return logging.WARNING  # it may still go well
    error = fields.get("error")
    if kind in _ERRORS or (error is not None and not isinstance(error, ClosedError)):
        return logging.ERROR
    if fields.get("unavailable") is not None or fields.get("failure") is not None:
        return logging.WARNING
    return logging.INFO


def line(event: events.Event) -> str:
    """What happened, in one line."""
    fields = attrs.asdict(event, recurse=False)
    error = fields.get("error")
    kind = type(event)
    template = _LINES[kind] if error is None else _FAILED.get(kind, _LINES[kind])
    fields["took"] = seconds(fields.get("duration", 0.0))
    if fields.get("component") is None:
        fields["component"] = "the system"
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
