"""A span, from before there is a tracer for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, Status, StatusCode, Tracer, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Sketch:
    """A span that is drawn before there is a tracer, and is made known to one as soon as there is.

    Times are those of the wall clock, in nanoseconds.
    """

    def __init__(
        self,
        name: str,
        began: int,
        attributes: Attributes,
        parent: Sketch | None = None,
        links: Sequence[tuple[Sketch, Attributes]] = (),
    ) -> None:
        """Begin a span; without a parent it is the root of a trace."""
        self.name = name
        self.span: Span | None = None
        """What a tracer has made of it."""
        self.ended: int | None = None
        self._began = began
        self._attributes = attributes
        self._parent = parent
        self._links = links
        self._events: list[tuple[str, int, Attributes]] = []
        self._results: dict[str, str | int | float | bool] = {}
        self._status: Status | None = None
        self._error: BaseException | None = None

    def note(self, name: str, at: int, attributes: Attributes) -> None:
        """Something has happened meanwhile."""
        self._events.append((name, at, attributes))

    def set(self, attributes: Attributes) -> None:
        """Say what came of it."""
        self._results.update(attributes)

    def fail(self, description: str, error: BaseException | None = None) -> None:
        """It went wrong.

        Args:
            description: in few words, and with nothing secret in them.
            error: what is to be shown whole, with its message and its traceback.

        """
        self._status = Status(StatusCode.ERROR, description)
        self._error = error

    def end(self, at: int) -> None:
        """It is over."""
        self.ended = at

    def open(self, tracer: Tracer) -> None:
        """Make it known to a tracer; parents, and what it links to, come before."""
        parent = None if self._parent is None else self._parent.span
        links = [
            Link(other.span.get_span_context(), attributes)
            for other, attributes in self._links
            if other.span is not None
        ]
        # A root stays one, whatever span happens to be the current one where it begins.
        context = Context() if parent is None else set_span_in_context(parent, Context())
        self.span = tracer.start_span(
            self.name,
            context=context,
            attributes=self._attributes,
            links=links,
            start_time=self._began,
        )

    def close(self) -> None:
        """Tell the tracer the rest. It may block, until the span is exported."""
        span = self.span
        assert span is not None  # noqa: S101  it was opened
        for name, at, attributes in self._events:
            span.add_event(name, attributes, at)
        span.set_attributes(self._results)
        if self._error is not None:
            span.record_exception(self._error, timestamp=self.ended)
        if self._status is not None:
            span.set_status(self._status)
        span.end(self.ended)
