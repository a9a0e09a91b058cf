"""One run of a server, which ends by being asked to, and by force only when that is of no use."""

from __future__ import annotations

import contextlib
import logging
import math
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from lifecycle.integrations._beside import beside
from lifecycle.integrations._untraced import untraced

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from lifecycle import Lifetime
    from lifecycle.integrations._calls import Calls

_UNWIND = 0.2
"""How long handlers that are cut off at the very end go before the app's lifespan, in seconds."""

_logger = logging.getLogger("lifecycle.integrations")


class Run(Protocol):
    """What differs from server to server: one run of its code, on sockets that listen."""

    async def serve(self, listening: anyio.Event) -> None:
        """Serve until :meth:`finish`, and until all connections have ended.

        Args:
            listening: to be set when connections are taken.

        """

    def refuse(self) -> None:
        """Take no new connections; may be called again."""

    def finish(self) -> None:
        """End the connections: idle ones now, others when they are. Refuses new ones, too."""

    def drop(self) -> None:
        """Drop the connections that there are, whatever goes on in them."""


class Serving:
    """One run of a server, in a task that ends by being asked to, not by being cancelled."""

    def __init__(
        self, name: str, run: Run, calls: Calls, crashed: Callable[[BaseException], object]
    ) -> None:
        """Prepare it.

        Args:
            name: that of the server, for people.
            run: the run of the server's own code.
            calls: the outermost wrapper of the app that it serves.
            crashed: told why a server has ended that nobody had asked to.

        """
        self._name = name
        self._server = run
        self._calls = calls
        self._crashed = crashed
        self._scope = anyio.CancelScope(shield=True)
        self._is_asked = False
        self._listening = anyio.Event()
        self._over = anyio.Event()
        self._error: BaseException | None = None

    @contextlib.asynccontextmanager
    async def living(self, owner: Lifetime[Any] | None) -> AsyncGenerator[None]:
        """Serve; at the end every connection has ended, and every handler that force can end."""
        async with beside(self._run, f"lifecycle: {self._name}") as task:
            try:
                await self._listening.wait()
                if self._error is not None:
                    raise self._error
                yield
            finally:
                if not task.forgo():
                    try:
                        await self._end(math.inf if owner is None else owner.time_left)
                    finally:
                        if not self._over.is_set() or self._calls:
                            await self._cut_off()

    def refuse(self) -> None:
        """Take no new connections."""
        self._server.refuse()

    def finish(self) -> None:
        """Let the connections end that there are: those in use when they are not any more."""
        self._is_asked = True
        self._server.finish()

    async def _run(self) -> None:
        try:
            with self._scope, untraced():
                await self._server.serve(self._listening)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  raised in the task of the component
            self._error = error
        finally:
            self._over.set()
            was_listening = self._listening.is_set()
            self._listening.set()
        if was_listening and not self._is_asked:
            self._crashed(self._error or RuntimeError(f"{self._name} has ended by itself"))

    async def _end(self, time_left: float) -> None:
        """Wait for handlers and connections; the app's lifespan needs some of the time, too."""
        self.finish()
        with anyio.move_on_after(time_left / 2):
            await self._ended()
        if not self._over.is_set() or self._calls:
            _logger.warning(
                "half of the time to stop is over: %d handlers are cancelled, "
                "and the connections dropped",
                len(self._calls),
            )
            self._cut()
            await self._ended()
        if self._error is not None:
            raise self._error

    async def _ended(self) -> None:
        await self._over.wait()
        await self._calls.ended()

    async def _cut_off(self) -> None:
        """The time is over: end by force what is left, handlers before the app's lifespan."""
        with anyio.CancelScope(shield=True):
            # Interrupted while it opens its listeners it would leave them with the event loop.
            await self._listening.wait()
        self.finish()
        self._cut()
        self._scope.cancel()
        with anyio.move_on_after(_UNWIND, shield=True):
            await self._calls.ended()

    def _cut(self) -> None:
        self._calls.cancel()
        self._server.drop()


@contextlib.asynccontextmanager
async def outlasting(calls: Calls) -> AsyncGenerator[None]:
    """Wait at the end for handlers that not even force could stop; nothing is left behind."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await calls.ended()
