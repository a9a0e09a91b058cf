"""An app that says what happens to it, and that does what is to be tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import attrs

if TYPE_CHECKING:
    from lifecycle.asgi import Message, Receive, Scope, Send


class GoneError(Exception):
    """What apps raise: the database is gone."""


@attrs.frozen
class Request:
    """A request that was read, or a websocket."""

    scope: Scope
    receive: Receive
    send: Send

    async def begin(self, *headers: tuple[bytes, bytes]) -> None:
        """Begin a response."""
        head: Message = {"type": "http.response.start", "status": 200, "headers": list(headers)}
        await self.send(head)

    async def part(self, body: bytes, *, is_last: bool = False) -> None:
        """Send a part of the response."""
        await self.send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def answer(self, body: bytes) -> None:
        """Answer, all at once."""
        await self.begin((b"content-length", str(len(body)).encode()))
        await self.part(body, is_last=True)

    async def begin_events(self) -> None:
        """Begin to stream events."""
        await self.begin((b"content-type", b"text/event-stream"))
        await self.part(b"data: 1\n\n")


class App:
    """An ASGI app that keeps a log; what it does in which place can be replaced."""

    def __init__(self) -> None:
        """Make it."""
        self.log: list[str] = []
        self.arrived = anyio.Event()
        """Set by handlers that have been called."""
        self.go_on = anyio.Event()
        """What handlers wait for."""
        self._said = anyio.Event()

    def say(self, line: str) -> None:
        """Put a line into the log."""
        self.log.append(line)
        self._said.set()
        self._said = anyio.Event()

    async def has_said(self, line: str) -> None:
        """Wait until a line is in the log."""
        while line not in self.log:
            await self._said.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a call."""
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        handle = getattr(self, scope["path"].strip("/") or "home")
        try:
            await handle(Request(scope, receive, send))
        finally:
            self.say(f"{scope['path']} has ended")

    async def lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start up and shut down."""
        await receive()
        await self.start_up(scope["state"])
        await send({"type": "lifespan.startup.complete"})
        self.say("up")
        await receive()
        await self.shut_down()
        await send({"type": "lifespan.shutdown.complete"})
        self.say("down")

    async def start_up(self, state: dict[str, Any]) -> None:
        """Do nothing."""

    async def shut_down(self) -> None:
        """Do nothing."""

    async def home(self, request: Request) -> None:
        """Answer at once."""
        await request.answer(b"hello")

    async def slow(self, request: Request) -> None:
        """Answer when told to."""
        self.arrived.set()
        await self.go_on.wait()
        await request.answer(b"slow")
