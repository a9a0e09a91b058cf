"""What a person sees of a run: short lines while it goes, and an account when it went badly."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING, TextIO

from lifecycle.errors import RunError, one_line, plural, seconds
from lifecycle.states import Outcome, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.report import ComponentReport, Report

_SUMMARY = {
    Outcome.CLEAN: "The system ended cleanly.",
    Outcome.START_FAILED: "The system did not start, and what had started was stopped again.",
    Outcome.CRASHED: "The system was shut down because a component crashed.",
    Outcome.INCOMPLETE: "The system was shut down, but not everything could be finished.",
    Outcome.FORCED: "The shutdown was cut short by a second interrupt.",
}
_MOST_ERRORS = 10

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:  # not generic when it runs, before Python 3.11
    _StreamHandler = logging.StreamHandler


def say(text: str) -> None:
    """Write to stderr, as far as it can be written: how a program ends does not depend on that.

    There may be none (``2>&-``, a service of Windows), it may be closed, or its disk be full.
    """
    stream: TextIO | None = sys.stderr
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except Exception:  # noqa: BLE001  whatever somebody has put there
        with contextlib.suppress(Exception):
            _drop_what_is_kept(stream)


def _drop_what_is_kept(stream: TextIO) -> None:
    """Empty the buffer of a file that cannot be written.

    The interpreter would try it again as it exits, and then exit with 120, whatever was asked for.
    """
    descriptor = stream.fileno()
    file, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        stream.flush()
    finally:
        os.dup2(file, descriptor)
        os.close(file)
        os.close(nowhere)


def account(report: Report) -> str:
    """What happened, for a person: a paragraph, the components, and the traceback of the cause."""
    return "\n".join(_account(report)) + "\n"


def _account(report: Report) -> Iterator[str]:
    summary = _SUMMARY[report.outcome]
    if report.outcome is Outcome.START_FAILED and not _had_started(report):
        summary = "The system did not start."
    yield f"lifecycle: {summary} Exit code {report.exit_code}."
    for error in report.errors[:_MOST_ERRORS]:
        yield f"  {_sentence(error)}"
    if len(report.errors) > _MOST_ERRORS:
        yield f"  and {plural(len(report.errors) - _MOST_ERRORS, 'more error')}"
    if report.reason and not report.errors:
        yield f"  {report.reason}"
    if report.in_flight:
        work = plural(len(report.in_flight), "piece of work", "pieces of work")
        yield f"  {work} in flight had to be cut off."
    if report.components:
        yield ""
        yield from tree(report)
    for abandoned in report.abandoned:
        yield ""
        yield f"The {abandoned.hook} hook of {abandoned.component!r} was left behind at:"
        yield abandoned.stack.rstrip() or "  (it is not known where)"
    cause = report.errors[0].__cause__ if report.errors else None
    if cause is not None:
        yield ""
        yield "The cause:"
        yield "".join(traceback.format_exception(type(cause), cause, cause.__traceback__)).rstrip()


def _had_started(report: Report) -> bool:
    return any(one.state is State.STOPPED for one in report.components.values())


def _sentence(error: BaseException) -> str:
    text = str(error) if isinstance(error, RunError) else one_line(error)
    return text.replace("\n", "\n    ")


def tree(report: Report) -> Iterator[str]:
    """The components with state and durations, each below the first that it depends on."""
    children: dict[str | None, list[ComponentReport]] = {}
    for component in report.components.values():
        parent = component.requires[0] if component.requires else None
        children.setdefault(parent, []).append(component)
    todo = [(component, 0) for component in reversed(children.get(None, []))]
    lines: list[tuple[str, ComponentReport]] = []
    while todo:
        component, depth = todo.pop()
        lines.append(("  " * (depth + 1) + component.name, component))
        todo.extend((child, depth + 1) for child in reversed(children.get(component.name, [])))
    width = max(len(name) for name, _ in lines)
    for name, component in lines:
        yield f"{name:<{width}}  {component.state!s:<9} {_times(component)}".rstrip()


def _times(component: ComponentReport) -> str:
    times = (
        ("start", component.start_time),
        ("drain", component.drain_time),
        ("stop", component.stop_time),
    )
    parts = [f"{hook} {seconds(time)}" for hook, time in times if time is not None]
    if component.error is not None and component.optional:
        parts.append(f"optional: {one_line(component.error)}")
    return ", ".join(parts)


class _OneLine(logging.Formatter):
    """Leaves the traceback to the account; but not ours, of an observer that failed."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        if not hasattr(record, "event"):
            return super().format(record)
        return f"{self.formatTime(record, self.datefmt)} {record.getMessage()}"


class ShortLines(_StreamHandler):
    """Shows events on stderr as long as nobody has configured logging."""

    def __init__(self, logger: logging.Logger) -> None:
        """Prepare the handler of a logger."""
        super().__init__(sys.stderr)
        self.setFormatter(_OneLine("%(asctime)s %(message)s", "%H:%M:%S"))
        self._logger = logger
        self._is_on = False

    def __enter__(self) -> None:
        """Show them, unless somebody cares for the log already."""
        if not self._logger.hasHandlers() and self._logger.level == logging.NOTSET:
            self._is_on = True
            self._logger.addHandler(self)
            self._logger.setLevel(logging.INFO)

    def __exit__(self, *details: object) -> None:
        """Leave the log as it was."""
        if self._is_on:
            say("")  # or what could not be written is tried again as the interpreter exits
            self._is_on = False
            self._logger.removeHandler(self)
            self._logger.setLevel(logging.NOTSET)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; where somebody has configured logging meanwhile, leave it to them."""
        if logging.getLogger().handlers:
            self.__exit__()
            return
        super().emit(record)
