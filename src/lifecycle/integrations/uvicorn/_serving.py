"""One run of uvicorn, which ends by being asked to, and by force only when that is of no use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn

from lifecycle.integrations._beside import beside

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Callable, Generator

    from lifecycle import Lifetime

_UNWIND = 0.2
"""How long handlers that are cut off at the very end go before the app's lifespan, in seconds."""

_logger = logging.getLogger("lifecycle.integrations.uvicorn")


class _Uvicorn(uvicorn.Server):
    """The server itself, with its hands off the signals."""

    def __init__(self, config: uvicorn.Config, state: dict[str, Any]) -> None:
        super().__init__(config)
        self._state = state
        self.listening = anyio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state.update(self._state)
        await super().startup(sockets)
        self.listening.set()


class Serving:
    """One run of the server, in a task that ends by being asked to, not by being cancelled."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        state: dict[str, Any],
        crashed: Callable[[BaseException], object],
    ) -> None:
        self._server = _Uvicorn(config, state)
        self._sockets = sockets
        self._crashed = crashed
        self._scope = anyio.CancelScope(shield=True)
        self._is_asked = False
        self._over = anyio.Event()
        self._error: BaseException | None = None

    @contextlib.asynccontextmanager
    async def living(
        self, owner: Lifetime[Any] | None, left: set[asyncio.Task[None]]
    ) -> AsyncGenerator[None]:
        """Serve; at the end every connection has ended, and every handler that is not `left`."""
        async with beside(self._run, "lifecycle: uvicorn"):
            try:
                await self._server.listening.wait()
                if self._error is not None:
                    raise self._error
                yield
            finally:
                try:
                    await self._end(math.inf if owner is None else owner.time_left)
                finally:
                    if not self._over.is_set():
                        left.update(await self._cut_off())

    def stop_listening(self) -> None:
        """Take no new connections."""
        for listener in getattr(self._server, "servers", ()):
            listener.close()
        for one in self._sockets:
            one.close()

    def refuse(self) -> None:
        """Let uvicorn end the connections that there are: those in use when they are not any more.

        It does so when it next looks, and no longer listens from now on.
        """
        self._is_asked = True
        self._server.should_exit = True
        self.stop_listening()

    async def _run(self) -> None:
        try:
            with self._scope, giving_no_exit():
                await self._server.serve(sockets=self._sockets)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  raised in the task of the component
            self._error = error
        finally:
            self._over.set()
            was_listening = self._server.listening.is_set()
            self._server.listening.set()
        if was_listening and not self._is_asked:
            self._crashed(self._error or RuntimeError("uvicorn has ended by itself"))

    async def _end(self, time_left: float) -> None:
        """Wait for handlers and connections; the app's lifespan needs some of the time, too."""
        self.refuse()
        with anyio.move_on_after(time_left / 2):
            await self._over.wait()
        if not self._over.is_set():
            state = self._server.server_state
            _logger.warning(
                "half of the time to stop is over: %d handlers are cancelled, "
                "and %d connections dropped",
                len(state.tasks),
                len(state.connections),
            )
            self._cut()
            await self._over.wait()
        if self._error is not None:
            raise self._error

    async def _cut_off(self) -> set[asyncio.Task[None]]:
        """The time is over: end by force what is left, handlers before the app's lifespan."""
        with anyio.CancelScope(shield=True):
            # Interrupted while it opens its listeners it would leave them with the event loop.
            await self._server.listening.wait()
        self.refuse()
        handlers = set(self._server.server_state.tasks)
        self._cut()
        self._scope.cancel()
        if handlers:
            with anyio.move_on_after(_UNWIND, shield=True):
                await asyncio.wait(handlers)
        return {handler for handler in handlers if not handler.done()}

    def _cut(self) -> None:
        """Cancel handlers, and drop connections."""
        state = self._server.server_state
        for handler in list(state.tasks):
            handler.cancel()
        for connection in list(state.connections):
            connection.transport.abort()


@contextlib.asynccontextmanager
async def outlasting(handlers: set[asyncio.Task[None]]) -> AsyncGenerator[None]:
    """Wait at the end for handlers that not even force could stop; nothing is left behind."""
    try:
        yield
    finally:
        if handlers:
            with anyio.CancelScope(shield=True):
                await asyncio.wait(handlers)


@contextlib.contextmanager
def giving_no_exit() -> Generator[None]:
    """Turn uvicorn's ``sys.exit`` into an error: how the process ends is decided elsewhere."""
    try:
        yield
    except SystemExit as error:
        message = f"uvicorn gave up with exit code {error.code}; its log (`uvicorn.error`) says why"
        raise RuntimeError(message) from error
