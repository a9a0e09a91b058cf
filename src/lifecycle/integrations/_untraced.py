"""Serving is no part of the start in which it begins."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def untraced() -> Generator[None]:
    """Have no span of OpenTelemetry around what begins here, if that is used at all.

    A task, or a thread, keeps the context in which it was made: with the span of the start in it,
    whatever a server ever does would be one trace, and who calls it would be left out of that.
    """
    # Where it was not imported nobody has made a span.
    trace = sys.modules.get("opentelemetry.trace")
    context = sys.modules.get("opentelemetry.context")
    if trace is None or context is None:
        yield
        return
    token = context.attach(trace.set_span_in_context(trace.INVALID_SPAN))
    try:
        yield
    finally:
        context.detach(token)
