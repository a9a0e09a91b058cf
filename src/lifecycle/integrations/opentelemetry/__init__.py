"""Traces of systems, with OpenTelemetry.

::

    lifecycle.run(shop, companions=[opentelemetry.tracing()])

A start is one trace: preflight checks, and the start of each component, with links to those that it
had to wait for. A shutdown is another: the drain and the stop of each. What a hook does itself, a
database that is connected to for example, is shown inside the span of the hook.
"""

from __future__ import annotations

try:
    from lifecycle.integrations.opentelemetry._tracing import Tracing, tracing
except ImportError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    message = "opentelemetry-api is not installed: pip install 'anyio-lifecycle[opentelemetry]'"
    raise ImportError(message, name=error.name) from error

__all__ = ["Tracing", "tracing"]
