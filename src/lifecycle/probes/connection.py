"""One connection to the probe server: HTTP/1.1 by h11, on a bare socket.

A bare socket, since what matters here lies below what a stream shows: whether the client has to be
waited for, and what is left unread when the connection is closed.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import socket
import struct
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import anyio
import anyio.lowlevel

from lifecycle.probes import drain
from lifecycle.probes.routes import refuse, respond

try:
    import h11
except ImportError as error:
    message = "h11 is not installed: pip install 'anyio-lifecycle[probes]'"
    raise ImportError(message, name=error.name) from error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from lifecycle import System
    from lifecycle.probes.crowd import Crowd
    from lifecycle.probes.responses import Codes, Response

_logger = logging.getLogger(__name__)

_PIECE: Final = 16 * 1024
"""How much is read at once, in bytes."""
_LINGER_TIME: Final = 1.0
_LINGER_SIZE: Final = 1024 * 1024
"""How long, and how much, is read from a client that was refused, so that it sees why: a socket
that is closed with something unread in it is reset, and what was sent may be lost with it."""
_AT_ONCE: Final = struct.pack("ii" if os.name == "posix" else "hh", 1, 0)
"""For SO_LINGER: a close throws away what was not sent, and resets the connection."""
_ORIGIN: Final = re.compile(r"https?://[^/?]*", re.IGNORECASE)
"""What a proxy is sent before the path."""

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_BAD_REQUEST: Final = 400
_TOO_LARGE: Final = 413
_HEAD_TOO_LARGE: Final = 431
_FAULT: Final = 500
_TOO_MANY: Final = 503


class _LeftError(Exception):
    """The client is gone, or is waited for no longer."""


class _RefusedError(Exception):
    """What the client sent is not taken."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Connection:
    """One connection, from its accept to its close."""

    def __init__(
        self, connected: socket.socket, host: str, crowd: Crowd, system: System, codes: Codes
    ) -> None:
        """It is open; `run` is its life."""
        self._socket = connected
        self._host = host
        self._crowd = crowd
        self._bounds = crowd.bounds
        self._system = system
        self._codes = codes
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=self._bounds.head)
        self._is_head = False
        self._until = math.inf
        self._scope = anyio.CancelScope()
        self._patience = anyio.CancelScope()
        self.waits = False
        """Whether nothing goes on but waiting for the client."""

    async def run(self) -> None:
        """Answer requests until either side closes; whatever happens stays in here."""
        try:
            with self._scope, contextlib.suppress(_LeftError, OSError):
                await self._serve()
        except Exception:  # a fault of our own must not end the server
            _logger.exception("a connection to the probes was given up")
        finally:
            self._socket.close()
            self._crowd.leave(self)

    def close(self) -> None:
        """Have it closed, whatever goes on."""
        self._scope.cancel()

    def hurry(self) -> None:
        """Have it closed as soon as the client would have to be waited for."""
        self._patience.cancel()

    # --- requests ------------------------------------------------------------------------------

    async def _serve(self) -> None:
        limit = self._bounds.request_time
        try:
            while (request := await self._next_request(limit)) is not None:
                await self._answer(request)
                if self._http.their_state is h11.SEND_BODY:
                    await self._close_gently()
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
                limit = self._bounds.idle_time
                # A client that sends one request after the other is not the only one.
                await anyio.lowlevel.checkpoint()
        except _RefusedError as refused:
            await self._refuse(refused.code, str(refused))
        except h11.RemoteProtocolError as problem:
            is_long = problem.error_status_hint == _HEAD_TOO_LARGE
            await self._refuse(_HEAD_TOO_LARGE if is_long else _BAD_REQUEST, str(problem))

    async def _next_request(self, limit: float) -> h11.Request | None:
        """Read a request to its end; None where no more come.

        Args:
            limit: how long it may take to begin, in seconds.

        """
        request: h11.Request | None = None
        size = 0
        self._is_head = False
        began = bool(self._http.trailing_data[0])
        self._allow(self._bounds.request_time if began else limit)
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if request is not None and self._http.they_are_waiting_for_100_continue:
                    return request  # answered without its body, which ends the connection
                data = await self._receive()
                if not began:
                    began = True
                    self._allow(self._bounds.request_time)
                self._http.receive_data(data)
            elif isinstance(event, h11.Request):
                request = event
                self._is_head = event.method == b"HEAD"
                if not event.http_version.startswith(b"1."):
                    raise _RefusedError(_BAD_REQUEST, "only HTTP/1.1 and HTTP/1.0 are spoken here")
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > self._bounds.body:
                    raise _RefusedError(_TOO_LARGE, "the body is too large, and none is needed")
            elif isinstance(event, h11.ConnectionClosed):
                return None
            else:  # its end, or the offer of another protocol, which is not taken
                return request

    # --- answers -------------------------------------------------------------------------------

    async def _answer(self, request: h11.Request) -> None:
        target = _ORIGIN.sub("", request.target.decode("ascii"), count=1)
        path, _, query = target.partition("?")
        method, path = request.method.decode("ascii"), unquote(path, errors="replace")
        try:
            if path.rstrip("/") == drain.DRAIN:
                from_here = drain.is_from_here(self._host, request.headers)
                response = drain.respond(self._system, method, from_here=from_here)
            else:
                response = await respond(self._system, method, path, query, self._codes)
        except Exception:
            _logger.exception("%s %s could not be answered", method, path)
            response = refuse(self._system, _FAULT, "see the log of the service")
        if response.stream is None:
            await self._send_response(response)
        elif self._crowd.viewers < self._bounds.viewers:
            with self._crowd.viewing():
                await self._send_stream(response, response.stream())
        else:
            await self._send_response(refuse(self._system, _TOO_MANY, "too many watch already"))

    async def _send_response(self, response: Response) -> None:
        if self._is_head:
            response = response.for_head()
        self._allow(self._bounds.request_time)
        await self._send(self._start(response) + self._data(response.body) + self._end())

    async def _send_stream(self, response: Response, stream: AsyncGenerator[bytes]) -> None:
        async with anyio.create_task_group() as group, contextlib.aclosing(stream):
            group.start_soon(self._until_left, group.cancel_scope)
            with contextlib.suppress(_LeftError, OSError):
                self._allow(self._bounds.request_time)
                await self._send(self._start(response))
                async for piece in stream:
                    self._allow(self._bounds.request_time)
                    await self._send(self._data(piece))
                await self._send(self._end())
            group.cancel_scope.cancel()

    async def _until_left(self, scope: anyio.CancelScope) -> None:
        """Who watches has nothing to say: what can come is the end."""
        await anyio.wait_readable(self._socket)
        scope.cancel()

    async def _refuse(self, code: int, why: str) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send_response(refuse(self._system, code, why))
        await self._close_gently()

    def _start(self, response: Response) -> bytes:
        headers = [*response.headers, ("Date", formatdate(usegmt=True))]
        if self._crowd.is_closing or self._http.their_state in (h11.SEND_BODY, h11.ERROR):
            headers.append(("Connection", "close"))
        start = h11.Response(
            status_code=response.code, headers=headers, reason=_PHRASES.get(response.code, "")
        )
        return self._http.send(start) or b""

    def _data(self, data: bytes) -> bytes:
        return self._http.send(h11.Data(data=data)) or b"" if data else b""

    def _end(self) -> bytes:
        return self._http.send(h11.EndOfMessage()) or b""

    # --- the socket ----------------------------------------------------------------------------

    def _allow(self, seconds: float) -> None:
        """Let the client take so long for what comes next."""
        self._until = anyio.current_time() + seconds
        self._crowd.renew(self)

    async def _receive(self) -> bytes:
        while True:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                return self._socket.recv(_PIECE)
            await self._wait(anyio.wait_readable)

    async def _send(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                sent = 0
                with contextlib.suppress(BlockingIOError, InterruptedError):
                    sent = self._socket.send(left)
                left = left[sent:]
                if not sent:
                    await self._wait(anyio.wait_writable)
        except BaseException:
            # Nobody takes it, so the kernel is not to keep it either.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            raise

    async def _wait(self, until: Callable[[socket.socket], Awaitable[None]]) -> None:
        """Wait for the client, which is when its place may be given to another one."""
        if self._crowd.is_closing or anyio.current_time() >= self._until:
            raise _LeftError
        with anyio.CancelScope(deadline=self._until) as self._patience, self._crowd.waiting(self):
            await until(self._socket)

    async def _close_gently(self) -> None:
        """Close, so that what was sent arrives although the client may be sending still."""
        self._allow(_LINGER_TIME)
        self._socket.shutdown(socket.SHUT_WR)
        size = 0
        while size < _LINGER_SIZE and (data := await self._receive()):
            size += len(data)
