"""Traces that were exported, as transcripts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lifecycle.events import Closed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from lifecycle.events import Event

_SECOND = 1_000_000_000
_PATIENCE = 15.0
"""How long anything is waited for, in real seconds."""


class StuckToTheEnd:
    """Something that a thread of ours is stuck in until the system is closed; an observer."""

    def __init__(self) -> None:
        self._is_closed = threading.Event()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Closed):
            self._is_closed.set()

    def block(self) -> bool:
        """Be stuck."""
        return self._is_closed.wait()


class _Telling(InMemorySpanExporter):
    """An exporter that tells when something has come."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        self.came.set()
        return result


class Traces:
    """A tracer provider, and everything that was exported by it."""

    def __init__(self) -> None:
        self._exporter = _Telling()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def wait(self) -> None:
        """Wait until a span was exported, in a thread; not for ever."""
        self._exporter.came.wait(_PATIENCE)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans, in the order in which they began, and of those the one that ended first."""
        spans = self._exporter.get_finished_spans()
        return sorted(spans, key=lambda span: (span.start_time or 0, span.end_time or 0))

    def span(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        (span,) = (span for span in self.spans if span.name == name)
        return span

    def parents(self) -> dict[str, str | None]:
        """The name of each span's parent, by its own."""
        names = {_id(span): span.name for span in self.spans}
        return {
            span.name: None if span.parent is None else names.get(span.parent.span_id, "?")
            for span in self.spans
        }

    def tree(self) -> list[str]:
        """Each trace as a tree: ``drain web 0-2 (ValueError) after drain api [work cancelled]``.

        Times are seconds since the root began; in parentheses the description of an error, in
        brackets what happened meanwhile.
        """
        names = {_id(span): span.name for span in self.spans}
        return [
            line
            for span in self.spans
            if span.parent is None
            for line in self._lines(span, span.start_time or 0, names, "")
        ]

    def _lines(
        self, span: ReadableSpan, root: int, names: dict[int, str], indent: str
    ) -> Iterator[str]:
        times = [((at or 0) - root) / _SECOND for at in (span.start_time, span.end_time)]
        words = [f"{indent}{span.name}", "-".join(f"{round(time, 3):g}" for time in times)]
        if not span.status.is_ok:
            words.append(f"({span.status.description})")
        if span.links:
            words.append("after " + ", ".join(names[link.context.span_id] for link in span.links))
        if span.events:
            words.append(f"[{', '.join(event.name for event in span.events)}]")
        yield " ".join(words)
        for child in self.spans:
            if child.parent is not None and child.parent.span_id == _id(span):
                yield from self._lines(child, root, names, indent + "  ")


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    identity: int = span.context.span_id
    return identity
