"""HTTP/1.1 as a client speaks it, on one connection, and what can go wrong on it."""

from __future__ import annotations

import contextlib
import math
import select
from typing import TYPE_CHECKING

import anyio
import attrs
import h11
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from anyio.abc import SocketStream


class BrokenError(Exception):
    """The connection broke: no answer, or not all of it."""

    def __init__(self, what: str, *, heard: bool, sent: bool = True) -> None:
        super().__init__(what)
        self.heard = heard
        """Whether any of the answer had come."""
        self.sent = sent
        """Whether any of the request may have arrived."""


class LateError(BrokenError):
    """It did not come in time."""


@attrs.frozen
class Response:
    """An answer that is complete, but for its body where that is a stream."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


class Connection:
    """One connection to a server, for one request after the other."""

    def __init__(self, stream: SocketStream, port: int) -> None:
        """Speak on a stream; made by :func:`connect`."""
        self.port = port
        """Where it leads to."""
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT)
        self._heard = False
        self.used = 0
        """How many requests it has had."""

    @property
    def can_be_used(self) -> bool:
        """Whether it may be asked again: both have kept it, and the server has not closed it.

        That is looked at by all clients that keep connections: what can be read on one on which
        nothing was asked is its end.
        """
        if self._h11.our_state is not h11.IDLE:
            return False
        descriptor = self._stream.extra(SocketAttribute.raw_socket).fileno()  # noqa: S610  no Django
        if descriptor < 0:
            return False
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)

    async def ask(self, method: str, path: str, *, within: float = math.inf) -> Response:
        """Send a request, and read the whole answer.

        Raises:
            BrokenError: there is none, or not all of it.
            LateError: it did not come in time.

        """
        with anyio.move_on_after(within):
            return await self._ask(method, path)
        raise LateError(f"no answer within {within:g} s", heard=self._heard)

    async def _ask(self, method: str, path: str) -> Response:
        response = await self.begin(method, path)
        body = b"".join([chunk async for chunk in self.chunks()])
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        return Response(response.status, response.headers, body)

    async def begin(self, method: str, path: str) -> Response:
        """Send a request, and read the head of the answer.

        Raises:
            BrokenError: there is none.

        """
        self.used += 1
        self._heard = False
        headers = [("Host", f"127.0.0.1:{self.port}")]
        if method == "POST":
            headers.append(("Content-Length", "0"))
        request = h11.Request(method=method, target=path, headers=headers)
        data = self._h11.send(request) or b""
        data += self._h11.send(h11.EndOfMessage()) or b""
        with self._telling():
            await self._stream.send(data)
        event = await self._next()
        if not isinstance(event, h11.Response):
            raise BrokenError(f"{event} in place of an answer", heard=self._heard)
        headers_read = {name.decode(): value.decode() for name, value in event.headers}
        return Response(event.status_code, headers_read)

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Give the body, piece by piece.

        Raises:
            BrokenError: the connection broke before its end.

        """
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    async def close(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def _next(self) -> object:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise BrokenError(str(error), heard=self._heard) from error
            if event is not h11.NEED_DATA:
                return event
            with self._telling():
                try:
                    data = await self._stream.receive()
                except anyio.EndOfStream:
                    data = b""
            self._heard = self._heard or bool(data)
            if not data and not self._heard:
                raise BrokenError("closed without an answer", heard=False)
            self._h11.receive_data(data)

    @contextlib.contextmanager
    def _telling(self) -> Generator[None]:
        try:
            yield
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise BrokenError(repr(error.__cause__ or error), heard=self._heard) from error


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Connection]:
    """Connect, and close at the end."""
    connection = await connect(port)
    try:
        yield connection
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


async def connect(port: int) -> Connection:
    """Connect to a port of this machine.

    Raises:
        BrokenError: nobody is there.

    """
    try:
        stream = await anyio.connect_tcp("127.0.0.1", port)
    except OSError as error:
        raise BrokenError(f"cannot connect: {error}", heard=False, sent=False) from error
    return Connection(stream, port)
