"""A line between a client and a server, that can be slow."""

from __future__ import annotations

import contextlib
import functools
import math
import socket
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute, SocketStream

from tests.listening import handling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Line:
    """Something between a client and a server that carries what the server says slowly, or not."""

    def __init__(self, bytes_per_second: float = math.inf) -> None:
        self._rate = bytes_per_second
        self._flows = anyio.Event()
        self._flows.set()
        self.target = ""

    def hold(self) -> None:
        """Let nothing through to the client, for ever."""
        self._flows = anyio.Event()

    @contextlib.asynccontextmanager
    async def laid(self, server: int) -> AsyncGenerator[None]:
        """Carry connections to the server at a port."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.target = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610  no SQL
        async with handling(listener, functools.partial(self._carry, server)):
            yield

    async def _carry(self, port: int, client: SocketStream) -> None:
        with socket.socket() as server, contextlib.suppress(OSError, anyio.BrokenResourceError):
            # What is not carried yet stays with the server, in the buffer of its connection.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            server.connect(("127.0.0.1", port))
            server.setblocking(False)
            async with client, anyio.create_task_group() as tasks:
                tasks.start_soon(self._carry_up, client, server)
                while True:
                    await anyio.wait_readable(server)
                    await self._flows.wait()
                    data = server.recv(16384)
                    if not data:
                        break
                    await anyio.sleep(len(data) / self._rate)
                    await client.send(data)
                tasks.cancel_scope.cancel()

    async def _carry_up(self, client: SocketStream, server: socket.socket) -> None:
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                data = await client.receive()
                while data:
                    await anyio.wait_writable(server)
                    data = data[server.send(data) :]
