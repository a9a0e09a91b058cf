"""What happened in the life of a system, as lines that can be read, compared whole, and kept."""

from __future__ import annotations

import difflib
import textwrap
from typing import TYPE_CHECKING

import anyio
import attrs

from lifecycle import events
from lifecycle.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS: dict[type[events.Event], str] = {
    events.PhaseChanged: "= {phase}",
    events.ShutdownRequested: "asked to shut down: {reason}",
    events.CompanionStarting: "companion {companion} starts",
    events.CompanionStarted: "companion {companion} started",
    events.CompanionStopping: "companion {companion} stops",
    events.CompanionStopped: "companion {companion} stopped",
    events.CheckStarting: "check {check} starts",
    events.CheckEnded: "check {check} ended",
    events.ComponentStarting: "{component} starts",
    events.ComponentStarted: "{component} started",
    events.ComponentRetrying: "{component} is tried again in {delay:g} s",
    events.ComponentSkipped: "{component} is skipped because of {because_of}",
    events.ComponentDraining: "{component} drains",
    events.ComponentDrained: "{component} drained",
    events.ComponentStopping: "{component} stops",
    events.ComponentStopped: "{component} stopped",
    events.ComponentCrashed: "{component} crashed",
    events.AvailabilityChanged: "{component} is unavailable: {unavailable}",
    events.HealthChanged: "{check} of {component} fails: {failure}",
    events.WorkCancelled: "work of {component} was cut off: {what}",
    events.HookAbandoned: "the {hook} of {component} was abandoned",
    events.Closed: "closed: {outcome}, {exit_code}",
}


class Transcript:
    """The lines of a life, each with its time in seconds: ``1.5 database started``.

    An observer that writes down every event. It is equal to a text that has the same lines, however
    that is indented, so that it can be compared with, and kept as, a literal::

        assert life.transcript == \"\"\"
            0 = starting
            0 database starts
            1.5 database started
        \"\"\"
    """

    def __init__(self) -> None:
        """Begin now: times are those of the event loop's clock, from here on."""
        self._began = anyio.current_time()
        self._entries: list[tuple[float, str]] = []

    def __call__(self, event: events.Event) -> None:
        """Write an event down."""
        self._entries.append((event.at - self._began, describe(event)))

    def note(self, what: str) -> None:
        """Write a line of one's own, with the time of now."""
        self._entries.append((anyio.current_time() - self._began, what))

    @property
    def words(self) -> list[str]:
        """The lines without their times."""
        return [what for _, what in self._entries]

    def __iter__(self) -> Iterator[str]:
        """Give the lines."""
        return (f"{_written(at)} {what}" for at, what in self._entries)

    def __len__(self) -> int:
        """Count the lines."""
        return len(self._entries)

    def __contains__(self, line: object) -> bool:
        """Whether there is such a line, with its time or without."""
        return line in self.words or line in list(self)

    def __eq__(self, other: object) -> bool:
        """Whether a text, or another transcript, has the same lines."""
        if isinstance(other, Transcript):
            return list(self) == list(other)
        if isinstance(other, str):
            return list(self) == lines_of(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it changes  # pyright: ignore[reportAssignmentType]

    def __str__(self) -> str:
        """Write all lines."""
        return "\n".join(self)

    def __repr__(self) -> str:
        """Show it as the literal that it is equal to."""
        return f'"""\n{textwrap.indent(str(self), "    ")}\n"""'


def lines_of(text: str) -> list[str]:
    """The lines of a literal, without what surrounds and indents them."""
    return textwrap.dedent(text).strip().splitlines()


def describe(event: events.Event) -> str:
    """What happened, in a few words: ``database started``."""
    if isinstance(event, events.AvailabilityChanged) and event.unavailable is None:
        return f"{event.component} is available"
    if isinstance(event, events.HealthChanged) and event.failure is None:
        return f"{event.check} of {event.component} passes"
    if isinstance(event, events.ComponentSkipped) and event.because_of is None:
        return f"{event.component} is skipped"
    if isinstance(event, events.WorkCancelled):
        what = ", ".join(event.what)
        return f"work of {event.component or 'the system'} was cut off: {what}"
    text = _WORDS[type(event)].format(**attrs.asdict(event, recurse=False))
    error = getattr(event, "error", None)
    return text if error is None else f"{text}: {one_line(error)}"


def _written(at: float) -> str:
    """Write a time: to the millisecond, which is finer than what anyone waits for."""
    return f"{at:.3f}".rstrip("0").rstrip(".")


def differences(left: object, right: object) -> list[str] | None:
    """How a transcript differs from what it was compared with, for pytest; None: neither is one.

    Args:
        left: what was on the left of ``==``.
        right: what was on the right.

    """
    if not isinstance(left, Transcript) and not isinstance(right, Transcript):
        return None
    if _lines(left) is None or _lines(right) is None:
        return None
    first, second = (right, left) if isinstance(left, Transcript) else (left, right)
    named = ("right", "left") if first is right else ("left", "right")
    changed = difflib.unified_diff(_lines(first) or [], _lines(second) or [], n=0, lineterm="")
    return [
        f"transcripts differ (- is only on the {named[0]}, + only on the {named[1]}):",
        *(line for line in changed if not line.startswith(("---", "+++", "@@"))),
    ]


def _lines(value: object) -> list[str] | None:
    if isinstance(value, Transcript):
        return list(value)
    return lines_of(value) if isinstance(value, str) else None
