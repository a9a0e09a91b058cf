"""The tracing of one run of a system: where its events, its hooks and the tracer provider meet."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import anyio
from opentelemetry import context, trace

from lifecycle import Component, Lifetime
from lifecycle.instruments import Instrument
from lifecycle.integrations.opentelemetry._book import Book
from lifecycle.integrations.opentelemetry._sender import Sender
from lifecycle.integrations.opentelemetry._story import Story

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle import System
    from lifecycle.events import Event
    from lifecycle.instruments import HookCall

_logger = logging.getLogger("lifecycle.integrations.opentelemetry")

_FLUSH: Final = 1.0
"""How long the flush may take, in seconds: what companions have at the end."""


class Run(Instrument):
    """The tracing of one run of a system."""

    def __init__(
        self,
        system: System,
        provider: trace.TracerProvider | Component[Any] | None,
        *,
        record_exceptions: bool,
    ) -> None:
        """Nothing was traced yet."""
        self._system = system
        self._given = provider
        self._provider: trace.TracerProvider | None = None
        """The one that is used, once it is there."""
        self._component = _name_of(system, provider)
        """The component that it is the value of, if it is one's."""
        self._is_closed = False
        self._sender = Sender()
        self._book = Book(self._sender)
        self._story = Story(system, self._book, record_exceptions=record_exceptions)

    def begin(self) -> None:
        """The system begins."""
        if isinstance(self._given, Component) and self._component is None:
            _logger.warning("%r is no part of this system: there are no spans", self._given)
        self._story.begin(anyio.current_time())
        self._look_for_provider()

    def observe(self, event: Event) -> None:
        """Take note of an event."""
        self._look_for_provider()
        self._story.observe(event)

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Call a hook inside its span, if there is one by now."""
        self._look_for_provider()
        if call.hook == "stop" and call.component == self._component:
            within = max(0.0, min(_FLUSH, Lifetime.current().time_left / 2))
            # Whatever is cancelled here, the hook has to be called.
            with anyio.CancelScope(shield=True):
                await self._close(within)
        # Attached in any case: the thread of a sync component would keep the one before.
        current = context.get_current()
        sketch = self._story.sketch_of(call.component, call.hook)
        if sketch is not None and sketch.span is not None and not self._is_closed:
            current = trace.set_span_in_context(sketch.span, current)
        token = context.attach(current)
        try:
            return await proceed()
        finally:
            context.detach(token)

    async def end(self) -> None:
        """The system has ended, but for its companions."""
        self._look_for_provider()
        try:
            await self._close(_FLUSH)
        finally:
            self._sender.end()
            if self._provider is None:
                _logger.warning("no tracer provider could be used: there are no spans")
            elif self._book.lost:
                what = ", ".join(self._book.lost)
                _logger.info("the tracer provider had ended before: no spans of %s", what)

    def _look_for_provider(self) -> None:
        """Use the provider, if it is there and was not before."""
        if self._provider is not None or self._is_closed:
            return
        found = self._find_provider()
        if found is None or isinstance(found, trace.ProxyTracerProvider):
            return
        try:
            require_provider(found)
            self._book.open(found.get_tracer("lifecycle"))
        except Exception:  # whatever it does, the system goes on
            _logger.exception("%r cannot be used", found)
            self._is_closed = True
            self._book.close()
        else:
            self._provider = found

    def _find_provider(self) -> Any:
        if self._given is None:
            return trace.get_tracer_provider()
        if isinstance(self._given, Component):
            return self._system.get(self._given)
        return self._given

    async def _close(self, within: float) -> None:
        """Send what there is, for the last time.

        Args:
            within: for how many seconds, at most.

        """
        if self._is_closed:
            return
        self._is_closed = True
        self._story.end(anyio.current_time())
        self._book.close()
        flush = getattr(self._provider, "force_flush", None)  # it is not of the API, but of the SDK
        if flush is None:
            return
        self._sender.post(flush)
        is_sent = False
        try:
            is_sent = await self._sender.is_done(within)
        finally:
            if not is_sent:
                _logger.warning("the spans were not flushed in time, and may be lost")


def require_provider(value: object) -> None:
    """Refuse what is no tracer provider.

    Raises:
        TypeError: it is none.

    """
    if not callable(getattr(value, "get_tracer", None)):
        message = f"a tracer provider has a method `get_tracer`, and {value!r} has none"
        raise TypeError(message)


def _name_of(system: System, provider: object) -> str | None:
    """The name that a component has in a system; None where it is none, or not in it."""
    nodes = system.plan.components
    return next((node.name for node in nodes if node.handle is provider), None)
