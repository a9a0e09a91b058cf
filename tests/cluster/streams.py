"""Streams that are followed for as long as there is load: server-sent events, and websockets.

What counts: each stream that is opened is **answered**, or a **failure**.

* A server may end a stream at any time, and their protocols say how: an event stream by the end of
  its response (its last chunk, of length zero), after whole events; a websocket by a close frame
  with a code that says to come back (1000, 1001, 1012, or 1013). Their clients, browsers first,
  then open it again by themselves. So that is no failure.
* A reset, a response without its end, an event that was cut in two, a websocket without a close
  frame or with another code (1006, 1011), and whatever keeps a stream from being opened, are.
* What is sent to a websocket and not answered before its close frame is sent again on the next one
  (RFC 6455 lets who closes ignore what comes after that), and counted as **retried**.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import anyio
import websockets
from websockets.asyncio.client import connect as connect_websocket

from tests.cluster.exchange import BrokenError, connected

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from tests.cluster.load import Counts
    from tests.cluster.service import Service

PAUSE: Final = 0.1
"""After how many seconds a stream that has ended is opened again."""
COME_BACK: Final = frozenset({1000, 1001, 1012, 1013})
EVERY: Final = 0.25
"""How many seconds are between two messages to a websocket."""
TIMEOUT: Final = 60.0
"""How long an answer may take, in seconds."""


class Stream(Protocol):
    """What is opened again and again."""

    counts: Counts

    async def follow(self) -> None:
        """Open it once, and follow it until it has ended politely.

        Raises:
            BrokenError: it could not be opened, or has ended in another way.

        """

    async def close(self) -> None:
        """Close what is kept for the next time."""


async def follow(stream: Stream, over: anyio.Event) -> None:
    """Follow a stream, and open it again where it ends, until the load is over."""
    await _follow(stream, over)
    await stream.close()


async def _follow(stream: Stream, over: anyio.Event) -> None:
    async with anyio.create_task_group() as tasks:

        async def end() -> None:
            await over.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(end)
        while True:
            stream.counts.sent += 1
            try:
                await stream.follow()
            except BrokenError as error:
                stream.counts.failures.append(str(error))
            except anyio.get_cancelled_exc_class():
                stream.counts.answered += 1  # as far as it went
                raise
            else:
                stream.counts.answered += 1
            await anyio.sleep(PAUSE)  # the time that a client takes: nothing is waited for


class Events:
    """Server-sent events."""

    def __init__(self, service: Service, path: str, counts: Counts) -> None:
        """Follow none yet."""
        self.counts = counts
        self._service = service
        self._path = path

    async def follow(self) -> None:
        """Read events until there are no more."""
        unfinished = b""
        async with connected(self._service.port) as connection:
            response = await connection.begin("GET", self._path)
            if response.status != 200:
                raise BrokenError(f"{response.status}", heard=True)
            async for chunk in connection.chunks():
                unfinished = (unfinished + chunk).rpartition(b"\n\n")[2]
        if unfinished:
            raise BrokenError(f"it ended in the middle of an event: {unfinished!r}", heard=True)

    async def close(self) -> None:
        """Keep nothing."""


class Chat:
    """A websocket that says everything back."""

    def __init__(self, service: Service, path: str, counts: Counts) -> None:
        """Say nothing yet."""
        self.counts = counts
        self._service = service
        self._path = path
        self._number = 0

    async def follow(self) -> None:
        """Say something, again and again, until the server closes."""
        address = f"ws://127.0.0.1:{self._service.port}{self._path}"
        try:
            async with connect_websocket(address, proxy=None, open_timeout=TIMEOUT) as websocket:
                await self._chat(websocket)
        except websockets.ConnectionClosed as closed:
            code = None if closed.rcvd is None else closed.rcvd.code
            if code not in COME_BACK:
                why = "without a close frame" if code is None else f"with code {code}"
                raise BrokenError(f"closed {why}", heard=True) from closed
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            raise BrokenError(repr(error), heard=False) from error

    async def close(self) -> None:
        """Keep nothing."""

    async def _chat(self, websocket: ClientConnection) -> None:
        while True:
            text = str(self._number)
            try:
                await websocket.send(text)
                with anyio.fail_after(TIMEOUT):
                    answer = await websocket.recv()
            except websockets.ConnectionClosed:
                self.counts.retried += 1
                raise
            if answer != text:
                raise BrokenError(f"{text} was answered by {answer!r}", heard=True)
            self._number += 1
            await self._pause(websocket)

    async def _pause(self, websocket: ClientConnection) -> None:
        """Wait for the time of the next message, or for the end."""
        with anyio.move_on_after(EVERY):
            await websocket.wait_closed()
            # Says in which way it was.
            await websocket.recv()
