"""What is on stage while a promise is checked: a server, its app, and the system of which it is."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import attrs

import lifecycle
from lifecycle import Limits, Registry, Report, Settings, System
from lifecycle.errors import RunError
from lifecycle.testing.servers._client import Client

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from lifecycle.asgi import ASGIApp

WEB: Final = "web"
"""The name of the server in its system."""


class SurpriseError(Exception):
    """Something else has come than was expected."""


class Server(Protocol):
    """What is looked at of a server; the rest of its life is that of any component."""

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 at which it listens, known as soon as it is bound."""
        ...


class MakesServer(Protocol):
    """How a server is made: the function ``server`` of an integration."""

    def __call__(
        self,
        app: ASGIApp,
        /,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        sockets: Sequence[socket.socket] | None = None,
    ) -> Any:
        """Make a :class:`Server`, for ``add``.

        Args:
            app: what it serves.
            host: where to listen.
            port: where to listen; 0: at a free one.
            sockets: sockets that are bound already, in place of host and port.

        """
        ...


@attrs.frozen
class Stage:
    """What is on stage."""

    server: MakesServer
    log: list[str] = attrs.field(factory=list[str])
    """What happens, for those who have to find out why a promise was not kept."""

    def shop(self, app: ASGIApp, **where: Any) -> tuple[Registry, Server]:
        """Give a system of nothing but a server."""
        shop = Registry("shop")
        server = self.server(app, **(where or {"port": 0}))
        shop.add(server, name=WEB)
        return shop, server

    async def run(
        self,
        shop: Registry,
        body: Callable[[System], Awaitable[object]] | None = None,
        settings: Settings | None = None,
    ) -> Report:
        """Run a system, and give the report, also of one that fails."""

        def observer(event: lifecycle.events.Event) -> None:
            self.log.append(re.sub(r"(\d+\.\d\d)\d+", r"\1", str(event)))

        settings = settings or Settings()
        try:
            async with lifecycle.running(shop, settings, observers=[observer]) as system:
                if body is not None:
                    await body(system)
                system.shut_down("the check is over")
                return await system.closed()
        except RunError as error:
            if error.report is None:
                raise
            return error.report


def within(seconds: float, *, drain: float | None = None, start: float | None = None) -> Settings:
    """Give a server some time to stop, and perhaps to drain, or to start."""
    return Settings(limits={WEB: Limits(start=start, stop=seconds, drain=drain)})


def expect(expected: object, actual: object, what: str) -> None:
    """Expect something.

    Raises:
        SurpriseError: something else has come.

    """
    if expected != actual:
        message = f"{what}: expected {expected!r}, not {actual!r}"
        raise SurpriseError(message)


@contextlib.asynccontextmanager
async def connected(server: Server) -> AsyncGenerator[Client]:
    """Connect to a server."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        yield Client(stream)


async def is_refused(server: Server) -> bool:
    """Whether nobody listens there."""
    try:
        async with connected(server):
            return False
    except OSError:
        return True
