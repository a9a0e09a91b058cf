"""Systems with a probe server, and clients that show every byte."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import attrs
import h11

import lifecycle
from lifecycle import Registry, Settings, System
from lifecycle.probes import Bounds, ProbeServer
from lifecycle.probes.crowd import Crowd
from lifecycle.probes.routes import PROBES, STATUS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from anyio.abc import SocketStream

    from lifecycle.events import Observer

LONG = Settings(drain_delay=500, grace_period=600)
"""For shutdowns that a test looks at for as long as it needs."""
PATHS = (*PROBES, STATUS)
"""Where there is JSON."""
EXAMPLES = int(os.environ.get("LIFECYCLE_FUZZ", "100"))
"""How many examples each fuzzer tries."""
GENEROUS = 60.0
"""How long anything is waited for, in seconds: what takes longer on a slow machine is broken."""


@attrs.frozen
class Reply:
    """What a server answered."""

    code: int
    headers: dict[str, str]
    body: bytes
    reason: str = ""

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Client:
    """A connection, on which anything may be sent."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._unread = b""
        self.is_closed = False
        """Whether the server has closed it, as far as was looked."""

    async def look(self, patience: float) -> None:
        """See what comes within so many seconds."""
        with anyio.move_on_after(patience):
            data = await self._receive()
            self._unread += data
            self.is_closed = not data

    async def send(self, data: bytes) -> None:
        """Send some bytes."""
        await self._stream.send(data)

    async def flood(self) -> None:
        """Send for ever."""
        while True:
            await self._stream.send(b"x" * 65536)

    async def ask(self, target: str, *, method: str = "GET", more: str = "") -> None:
        """Send a request without a body, with more headers, each of which ends with a CRLF."""
        head = f"{method} {target} HTTP/1.1\r\nHost: shop\r\n{more}\r\n"
        await self._stream.send(head.encode())

    async def reply(self, method: str = "GET") -> Reply:
        """Read one reply, as h11 understands it."""
        http = h11.Connection(h11.CLIENT)
        http.send(h11.Request(method=method, target="/", headers=[("Host", "shop")]))
        http.send(h11.EndOfMessage())
        if self._unread:
            http.receive_data(self._unread)
        response, body = None, b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await self._receive())
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                break
        assert isinstance(event, h11.EndOfMessage)
        assert response is not None
        self._unread = http.trailing_data[0]
        headers = {name.decode(): value.decode() for name, value in response.headers}
        return Reply(response.status_code, headers, body, response.reason.decode())

    async def get(self, target: str, *, method: str = "GET", more: str = "") -> Reply:
        """Ask, and read the reply."""
        await self.ask(target, method=method, more=more)
        return await self.reply(method)

    async def rest(self) -> bytes:
        """Read until the server closes the connection, in whichever way."""
        with contextlib.suppress(anyio.BrokenResourceError):
            while data := await self._receive():
                self._unread += data
        read, self._unread = self._unread, b""
        return read

    async def until(self, end: bytes) -> None:
        """Read up to some bytes, and those."""
        while end not in self._unread:
            data = await self._receive()
            assert data, f"closed after {self._unread!r}"
            self._unread += data
        self._unread = self._unread.partition(end)[2]

    async def close(self) -> None:
        """Leave."""
        await self._stream.aclose()

    async def end(self) -> None:
        """Have nothing more to send."""
        await self._stream.send_eof()

    async def _receive(self) -> bytes:
        with anyio.fail_after(GENEROUS):
            try:
                return await self._stream.receive()
            except anyio.EndOfStream:
                return b""


@contextlib.asynccontextmanager
async def connected(server: ProbeServer) -> AsyncGenerator[Client]:
    """Connect to a server."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        yield Client(stream)


async def get(
    server: ProbeServer, target: str = "/ready", *, method: str = "GET", more: str = ""
) -> Reply:
    """Ask on a connection of its own."""
    async with connected(server) as client:
        return await client.get(target, method=method, more=more)


async def said(server: ProbeServer, data: bytes) -> bytes:
    """Send some bytes, and then nothing more; all that comes back."""
    async with connected(server) as client:
        with contextlib.suppress(anyio.BrokenResourceError):
            await client.send(data)
            await client.end()
        return await client.rest()


async def asked(server: ProbeServer, data: bytes) -> bytes:
    """Ask before the loop goes on, and so in no time for the server; all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(data)
        raw.setblocking(False)
        answer = b""
        with anyio.fail_after(GENEROUS):
            while True:
                await anyio.wait_readable(raw)
                piece = raw.recv(65536)
                if not piece:
                    return answer
                answer += piece


def allow(bounds: Bounds, **times: float) -> None:
    """Change how long clients may take for what begins from now on."""
    for name, seconds in times.items():
        object.__setattr__(bounds, name, seconds)


def codes_in(answers: bytes) -> list[int]:
    """The status codes of all replies in what was read."""
    lines = answers.split(b"\r\n")
    return [int(line.split()[1]) for line in lines if line.startswith(b"HTTP/1.1 ")]


class WatchedCrowd(Crowd):
    """The connections of a server, as a test can wait for them."""

    left_by_themselves = False
    """Whether at the end all were closed in time, and none was cut off."""

    async def close(self) -> None:
        """Note how it ends."""
        await super().close()
        self.left_by_themselves = True

    async def all_wait(self, size: int) -> None:
        """Wait until there are so many, and all of them wait for their client."""
        with anyio.fail_after(GENEROUS):
            while [True] * size != [one.waits for one in self._by_turn]:
                await self._change()

    async def is_empty(self) -> None:
        """Wait until nobody is there."""
        with anyio.fail_after(GENEROUS):
            await self.is_smaller(1)


class Probes(ProbeServer):
    """A probe server at a free port, whose connections can be watched."""

    crowd: WatchedCrowd


@contextlib.asynccontextmanager
async def serving(
    shop: Registry | None = None,
    settings: Settings | None = None,
    *,
    observers: Sequence[Observer] = (),
    **options: Any,
) -> AsyncGenerator[tuple[System, Probes]]:
    """Run a system with a probe server."""
    server = Probes("127.0.0.1:0", **options)

    def watched(bounds: Bounds) -> WatchedCrowd:
        server.crowd = WatchedCrowd(bounds)
        return server.crowd

    with (
        mock.patch("lifecycle.probes.server.Crowd", watched),
        # Who is refused on a busy machine, too, has the time to see why.
        mock.patch("lifecycle.probes.connection._LINGER_TIME", GENEROUS),
    ):
        running = lifecycle.running(
            shop or Registry("shop"), settings, companions=[server], observers=observers
        )
        async with running as system:
            yield system, server
