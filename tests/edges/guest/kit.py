"""A server that does nothing but run the lifespan of an app, and a shop that says what happens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle import Lifetime, Registry, events, requires
from tests.edges.calls import Call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from lifecycle.asgi import ASGIApp, Message, Receive, Scope, Send


class Server:
    """What a server does with the lifespan of an app, and what it was told."""

    def __init__(self, app: ASGIApp) -> None:
        self.state: dict[str, Any] = {}
        self.sent: list[Message] = []
        self._app = app
        self._answered = anyio.Event()
        self._ends = anyio.Event()
        self._was_asked = False

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[Server]:
        """Start up, and shut down."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run)
            await self._answered.wait()
            try:
                yield self
            finally:
                self._ends.set()

    async def get(self, path: str = "/") -> Call:
        """Call the app."""
        call = Call(path=path, state=dict(self.state))
        await call(self._app)
        return call

    @property
    def answers(self) -> list[str]:
        """What it was told."""
        return [message["type"] for message in self.sent]

    async def _run(self) -> None:
        await self._app({"type": "lifespan", "state": self.state}, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._was_asked:
            await self._ends.wait()
            return {"type": "lifespan.shutdown"}
        self._was_asked = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._answered.set()


class Shop:
    """A system, and an app with a lifespan of its own; both say what happens to them."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.registry = Registry("shop")
        self.crash = anyio.Event()

        @self.registry.component
        async def database() -> AsyncIterator[str]:
            self.log.append("database opened")
            yield "the database"
            self.log.append("database closed")

        @self.registry.service
        async def packing(life: Lifetime, _: str = requires(database)) -> None:
            life.started()
            self.log.append("packing begins")
            await life.wait_draining()
            self.log.append("packing drains")

        self.database = database
        self.packing = packing

    def fragile(self) -> None:
        """Declare something that crashes when `crash` is set."""

        @self.registry.service
        async def fragile() -> None:
            await self.crash.wait()
            message = "broken"
            raise ValueError(message)

    def observe(self, event: events.Event) -> None:
        """Write into the log what the server does, as a component."""
        if isinstance(event, events.ComponentDraining | events.ComponentDrained):
            word = "drains" if isinstance(event, events.ComponentDraining) else "drained"
            if event.component == "server":
                self.log.append(f"server {word}")

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the phase of the system."""
        if scope["type"] == "lifespan":
            await receive()
            self.log.append("app up")
            scope["state"]["of the app"] = "something"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.log.append("app down")
            await send({"type": "lifespan.shutdown.complete"})
            return
        system = scope["state"]["lifecycle"]
        work = [(one.component, one.what) for one in system.status().in_flight]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = f'"{work}"'.encode()
        await send({"type": "http.response.body", "body": body, "more_body": False})
