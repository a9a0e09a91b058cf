"""One run of uvicorn's own code."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    import anyio


class _Uvicorn(uvicorn.Server):
    """The server itself, with its hands off the signals."""

    listening: anyio.Event

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Run:
    """One run of the server; see :class:`lifecycle.integrations._serving.Run`."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        """Prepare it.

        Args:
            config: that of the server; it is loaded here, and what cannot be loaded raises.
            sockets: where to serve.

        """
        with _giving_no_exit():
            config.load()
        self._server = _Uvicorn(config)
        self._sockets = sockets

    async def serve(self, listening: anyio.Event) -> None:
        """Serve until asked to finish."""
        self._server.listening = listening
        with _giving_no_exit():
            await self._server.serve(sockets=self._sockets)

    def refuse(self) -> None:
        """Take no new connections."""
        for listener in getattr(self._server, "servers", ()):
            listener.close()
        for one in self._sockets:
            one.close()

    def finish(self) -> None:
        """Let it end the connections that there are; it does so when it next looks."""
        self._server.should_exit = True
        self.refuse()

    def drop(self) -> None:
        """Drop the connections that there are."""
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()


@contextlib.contextmanager
def _giving_no_exit() -> Generator[None]:
    """Turn uvicorn's ``sys.exit`` into an error: how the process ends is decided elsewhere."""
    try:
        yield
    except SystemExit as error:
        message = f"uvicorn gave up with exit code {error.code}; its log (`uvicorn.error`) says why"
        raise RuntimeError(message) from error
