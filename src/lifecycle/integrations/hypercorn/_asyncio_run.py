"""One run on asyncio, or uvloop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext

from lifecycle.integrations.hypercorn._connections import (
    apart,
    require_parameters,
    state,
    wrapped,
)

if TYPE_CHECKING:
    import socket

    from anyio.abc import TaskGroup
    from hypercorn.config import Config

    from lifecycle.asgi import ASGIApp

    Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AsyncioRun:
    """One run of the server; see :class:`lifecycle.integrations._serving.Run`."""

    def __init__(self, app: ASGIApp, config: Config, sockets: list[socket.socket]) -> None:
        """Prepare it.

        Args:
            app: what to serve.
            config: hypercorn's.
            sockets: where to serve.

        """
        require_parameters(
            TCPServer, "app", "loop", "config", "context", "state", "reader", "writer"
        )
        self._app = wrapped(app)
        self._config = config
        self._tls = config.create_ssl_context()
        self._sockets = sockets
        self._context = WorkerContext(None)
        self._listeners: list[asyncio.Server] = []
        self._connections: set[asyncio.StreamWriter] = set()
        self._arrived: asyncio.Queue[Connection] = asyncio.Queue()
        self._taking = anyio.CancelScope()
        self._finishing = anyio.Event()
        self._is_over = False

    async def serve(self, listening: anyio.Event) -> None:
        """Serve until asked to finish."""
        try:
            async with anyio.create_task_group() as tasks:
                timeout = None if self._tls is None else self._config.ssl_handshake_timeout
                for one in self._sockets:
                    listener = await asyncio.start_server(
                        self._connected,
                        sock=one,
                        backlog=self._config.backlog,
                        ssl=self._tls,
                        ssl_handshake_timeout=timeout,
                    )
                    self._listeners.append(listener)
                tasks.start_soon(self._take, tasks, name="lifecycle: hypercorn takes connections")
                listening.set()
                await self._finishing.wait()
                await self._context.terminated.set()
                self._end_if_none_is_left()
        finally:
            self._is_over = True
            self.refuse()
            self.drop()

    def refuse(self) -> None:
        """Take no new connections."""
        for listener in self._listeners:
            listener.close()
        for one in self._sockets:
            one.close()

    def finish(self) -> None:
        """Let the connections end that there are."""
        self.refuse()
        self._finishing.set()

    def drop(self) -> None:
        """Drop the connections that there are."""
        for writer in list(self._connections):
            writer.transport.abort()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Note a connection: it is made by the event loop, in no task, where none can be started.

        Nor is it in a context of ours: only anyio's own programs run all of theirs in one that says
        which loop this is.
        """
        if self._is_over:
            writer.transport.abort()  # it was accepted in the last moment
            return
        self._connections.add(writer)
        self._arrived.put_nowait((reader, writer))

    async def _take(self, tasks: TaskGroup) -> None:
        with self._taking:
            while True:
                reader, writer = await self._arrived.get()
                name = "lifecycle: a connection of hypercorn"
                tasks.start_soon(self._serve, reader, writer, name=name)

    def _end_if_none_is_left(self) -> None:
        if self._finishing.is_set() and not self._connections:
            self._is_over = True
            self._taking.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        app, config, context = self._app, self._config, self._context
        try:
            with apart(writer.transport.abort):
                await TCPServer(app, loop, config, context, state(), reader, writer).run()
        finally:
            self._connections.discard(writer)
            self._end_if_none_is_left()
