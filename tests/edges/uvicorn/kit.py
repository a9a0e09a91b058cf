"""Apps that say what happens to them, systems that serve them, and a client that hides nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import attrs

import lifecycle
from lifecycle import Registry, Report, Settings, System
from lifecycle.errors import RunError
from lifecycle.integrations import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from anyio.abc import SocketStream

    from lifecycle.events import Observer


@attrs.frozen
class Request:
    """A request that was read."""

    scope: Any
    send: Any

    async def answer(self, body: bytes) -> None:
        """Answer, all at once."""
        headers = [(b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


class App:
    """An ASGI app that keeps a log; what it does in which place can be replaced."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.arrived = anyio.Event()
        self.go_on = anyio.Event()
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

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        try:
            await getattr(self, scope["path"].strip("/") or "home")(Request(scope, send))
        finally:
            self.say(f"{scope['path']} has ended")

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
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

    async def endless(self, request: Request) -> None:
        """Stream for ever."""
        headers = [(b"content-type", b"text/event-stream")]
        await request.send({"type": "http.response.start", "status": 200, "headers": headers})
        await request.send(
            {"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True}
        )
        self.arrived.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()  # it unwinds, and takes its time for that
                await anyio.lowlevel.checkpoint()

    async def stuck(self, request: Request) -> None:
        """Answer when told to, whoever cancels that."""
        self.arrived.set()
        with anyio.CancelScope(shield=True):
            await self.go_on.wait()
        await request.answer(b"stuck")


class Client:
    """A connection, on which one sees every byte."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._unread = b""

    async def ask(self, path: str) -> None:
        """Send a request that keeps the connection open."""
        await self._stream.send(f"GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n".encode())

    async def until(self, end: bytes) -> bytes:
        """Read up to some bytes, and those."""
        while end not in self._unread:
            self._unread += await self._stream.receive()
        read, _, self._unread = self._unread.partition(end)
        return read + end

    async def rest(self) -> bytes:
        """Read until the server closes the connection."""
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                self._unread += await self._stream.receive()
        read, self._unread = self._unread, b""
        return read

    async def get(self, path: str) -> bytes:
        """Ask, and read the answer, whose body says how long it is."""
        await self.ask(path)
        head = await self.until(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(self._unread) < length:
            self._unread += await self._stream.receive()
        body, self._unread = self._unread[:length], self._unread[length:]
        return head + body


@contextlib.asynccontextmanager
async def connected(server: uvicorn.Server) -> AsyncGenerator[Client]:
    """Connect to a server."""
    host, port = server.addresses[0]
    async with await anyio.connect_tcp(host, port) as stream:
        yield Client(stream)


async def is_refused(server: uvicorn.Server) -> bool:
    """Whether nobody listens there."""
    try:
        async with connected(server):
            return False
    except OSError:
        return True


def shop_of(app: Any, **options: Any) -> tuple[Registry, uvicorn.Server]:
    """A system of nothing but a server."""
    shop = Registry("shop")
    server = uvicorn.server(app, port=0, **options)
    shop.add(server, name="web")
    return shop, server


async def run(
    shop: Registry,
    body: Callable[[System], Awaitable[object]] | None = None,
    settings: Settings | None = None,
    observers: Sequence[Observer] = (),
) -> Report:
    """Run a system, see that it leaves no task, and give the report, also of one that fails."""
    report = None
    before = asyncio.all_tasks()
    try:
        async with lifecycle.running(shop, settings or Settings(), observers=observers) as system:
            if body is not None:
                await body(system)
            system.shut_down("the test is over")
            report = await system.closed()
    except RunError as error:
        report = error.report
        if report is None:
            raise
    assert before == asyncio.all_tasks()
    return report
