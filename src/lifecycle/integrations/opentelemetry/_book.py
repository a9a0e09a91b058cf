"""The spans of one run, kept until there is a tracer, and made known to it from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from lifecycle.integrations.opentelemetry._sender import Sender
    from lifecycle.integrations.opentelemetry._sketch import Sketch


class Book:
    """All spans of one run, in the order in which they began."""

    def __init__(self, sender: Sender) -> None:
        """There is neither a span nor a tracer."""
        self._sender = sender
        self._tracer: Tracer | None = None
        self._kept: list[Sketch] = []
        self._unended: dict[Sketch, None] = {}
        self._is_over = False
        self.lost: list[str] = []
        """The names of those that no tracer will know of, or will not see the end of."""

    def begin(self, sketch: Sketch) -> None:
        """A span begins."""
        if self._is_over:
            self.lost.append(sketch.name)
            return
        self._unended[sketch] = None
        if self._tracer is None:
            self._kept.append(sketch)
        else:
            sketch.open(self._tracer)

    def end(self, sketch: Sketch, at: int) -> None:
        """A span ends; that it has is told once there is a tracer."""
        if sketch not in self._unended:
            return
        del self._unended[sketch]
        sketch.end(at)
        if sketch.span is not None:
            self._sender.post(sketch.close)

    def open(self, tracer: Tracer) -> None:
        """There is a tracer: tell it of everything so far."""
        self._tracer = tracer
        kept, self._kept = self._kept, []
        for sketch in kept:
            sketch.open(tracer)
            if sketch.ended is not None:
                self._sender.post(sketch.close)

    def close(self) -> None:
        """The tracer takes nothing any more; what it has not seen the end of is lost."""
        self._is_over = True
        self.lost += [sketch.name for sketch in (*self._kept, *self._unended)]
        self._kept.clear()
        self._unended.clear()
