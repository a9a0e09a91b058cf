"""One run on trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import trio
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from lifecycle.integrations.hypercorn._connections import (
    apart,
    require_parameters,
    state,
    wrapped,
)

if TYPE_CHECKING:
    import socket

    from hypercorn.config import Config

    from lifecycle.asgi import ASGIApp


class TrioRun:
    """One run of the server; see :class:`lifecycle.integrations._serving.Run`."""

    def __init__(self, app: ASGIApp, config: Config, sockets: list[socket.socket]) -> None:
        """Prepare it.

        Args:
            app: what to serve.
            config: hypercorn's.
            sockets: where to serve.

        """
        require_parameters(TCPServer, "app", "config", "context", "state", "stream")
        self._app = wrapped(app)
        self._config = config
        self._tls = config.create_ssl_context()
        self._sockets = sockets
        self._context = WorkerContext(None)
        self._accepting = trio.CancelScope()
        self._connections: set[trio.SocketStream] = set()
        self._finishing = anyio.Event()

    async def serve(self, listening: anyio.Event) -> None:
        """Serve until asked to finish."""
        async with trio.open_nursery() as connections:
            with self._accepting:
                async with trio.open_nursery() as nursery:
                    for listener in [self._listener(one) for one in self._sockets]:
                        nursery.start_soon(self._accept, listener, connections)
                    listening.set()
            await self._finishing.wait()
            await self._context.terminated.set()

    def refuse(self) -> None:
        """Take no new connections."""
        self._accepting.cancel()

    def finish(self) -> None:
        """Let the connections end that there are."""
        self.refuse()
        self._finishing.set()

    def drop(self) -> None:
        """Drop the connections that there are."""
        for stream in list(self._connections):
            stream.socket.close()  # what is being sent is shielded, and fails

    def _listener(self, one: socket.socket) -> trio.abc.Listener[Any]:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(one))
        if self._tls is None:
            return listener
        return trio.SSLListener(listener, self._tls, https_compatible=True)

    async def _accept(self, listener: trio.abc.Listener[Any], connections: trio.Nursery) -> None:
        await trio.serve_listeners(self._serve, [listener], handler_nursery=connections)

    async def _serve(self, stream: Any) -> None:
        transport: trio.SocketStream = getattr(stream, "transport_stream", stream)
        self._connections.add(transport)
        try:
            with apart(transport.socket.close):
                await TCPServer(self._app, self._config, self._context, state(), stream).run()
        finally:
            self._connections.discard(transport)
