"""What a user holds: a companion that traces the systems which it accompanies."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from lifecycle import Component
from lifecycle.integrations.opentelemetry._run import Run, require_provider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from opentelemetry.trace import TracerProvider

    from lifecycle import System


def tracing(
    provider: TracerProvider | Component[Any] | None = None, *, record_exceptions: bool = False
) -> Tracing:
    """Make a companion that traces the systems which it accompanies.

    Spans that begin before the provider is there are kept, and sent as soon as it is. At the end
    they are flushed, for at most 1 s: a collector that does not answer costs that, and no more.

    Args:
        provider: whose tracer is used. Where it is a component of the system: its handle. It is
            then flushed before it is stopped, and there are no spans of what ends after that. By
            default the global one, which may be set at any time, by the hook of a component too.
        record_exceptions: whether errors are shown with message and traceback, which may hold
            secrets; by default only their types are.

    Raises:
        TypeError: it is no provider.

    """
    if provider is not None and not isinstance(provider, Component):
        require_provider(provider)
    return Tracing(provider, record_exceptions=record_exceptions)


class Tracing:
    """A companion that traces the systems which it accompanies, one run at a time or several."""

    name: Final = "opentelemetry"

    def __init__(
        self, provider: TracerProvider | Component[Any] | None, *, record_exceptions: bool
    ) -> None:
        """Made by :func:`tracing`."""
        self._provider = provider
        self._record_exceptions = record_exceptions

    def __call__(self, system: System) -> AbstractAsyncContextManager[None]:
        """Accompany a system."""
        return self._accompany(system)

    @contextlib.asynccontextmanager
    async def _accompany(self, system: System) -> AsyncGenerator[None]:
        run = Run(system, self._provider, record_exceptions=self._record_exceptions)
        system.instrument(run)
        system.observe(run.observe)
        run.begin()
        try:
            yield
        finally:
            await run.end()
