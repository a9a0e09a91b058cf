"""The lifespan of an ASGI app, run by ourselves rather than by a server.

Servers log what goes wrong in it, and keep it to themselves: here a start that fails raises the
app's own exception, one that crashes later is a crash, and the end of its task is waited for.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import anyio

from lifecycle.integrations._beside import beside

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from lifecycle.asgi import ASGIApp, Message

Mode: TypeAlias = Literal["auto", "on", "off"]

_logger = logging.getLogger(__name__)


class _UnsupportedError(Exception):
    """The app answers as if it were asked something else."""


class Lifespan:
    """One run of an app's lifespan."""

    def __init__(
        self, app: ASGIApp, mode: Mode, crashed: Callable[[BaseException], object]
    ) -> None:
        """Prepare it.

        Args:
            app: the app.
            mode: whether the app must have one (``on``), may have one (``auto``), or is not asked.
            crashed: told what was raised by a lifespan that nobody had asked to end.

        """
        self.state: dict[str, Any] = {}
        """What the app has put there for its requests."""
        self._app = app
        self._mode = mode
        self._crashed = crashed
        self._scope = anyio.CancelScope(shield=True)
        self._knows = False
        """Whether the app has asked what this is about."""
        self._is_up = False
        self._problem: str | None = None
        self._error: BaseException | None = None
        self._answered = anyio.Event()
        self._asked = anyio.Event()
        self._ended = anyio.Event()

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncGenerator[None]:
        """Start up, and shut down; a failure of either is raised as the app's own exception."""
        if self._mode == "off":
            yield
            return
        async with beside(self._run, "lifecycle: lifespan"):
            try:
                await self._start_up()
                yield
            finally:
                try:
                    await self._shut_down()
                finally:
                    # Cut short: it unwinds by cancellation, and is waited for.
                    self._scope.cancel()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            with self._scope:
                await self._app(scope, self._receive, self._send)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  raised in the task of the component
            self._error = error
        finally:
            self._answered.set()
            self._ended.set()
        failure = self._failure()
        if failure is not None and self._is_up and not self._asked.is_set():
            self._crashed(failure)

    async def _start_up(self) -> None:
        await self._answered.wait()
        if self._is_up:
            return
        # What went wrong shows only in how it ends.
        await self._ended.wait()
        error = self._failure()
        if isinstance(error, _UnsupportedError) or not (self._knows or error is None):
            error, self._error = None, error
        if error is not None:
            raise error
        if self._mode == "on":
            message = "the app has no lifespan, and `lifespan='on'` asks for one"
            raise RuntimeError(message) from self._error
        _logger.debug("the app has no lifespan: %r", self._error)

    async def _shut_down(self) -> None:
        if not self._is_up:
            return
        self._asked.set()
        await self._ended.wait()
        if (error := self._failure()) is not None:
            raise error

    def _failure(self) -> BaseException | None:
        if self._error is None and self._problem is not None:
            return RuntimeError(self._problem)
        return self._error

    async def _receive(self) -> Message:
        if not self._knows:
            self._knows = True
            return {"type": "lifespan.startup"}
        await self._asked.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._is_up = True
            self._answered.set()
        elif kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self._problem = f"{kind}: {message.get('message') or 'the app does not say why'}"
            self._answered.set()
        elif not kind.startswith("lifespan."):
            raise _UnsupportedError(kind)
