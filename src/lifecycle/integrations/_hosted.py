"""A server as an object with a life, whichever it is: for ``add`` and ``build``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, get_args

import anyio

from lifecycle.asgi import InFlight
from lifecycle.errors import SettingsError
from lifecycle.integrations._calls import Calls
from lifecycle.integrations._lifespan import Lifespan, Mode
from lifecycle.integrations._living import Living, owner
from lifecycle.integrations._provided import provided, require_provided
from lifecycle.integrations._serving import Serving, outlasting
from lifecycle.integrations._websockets import Websockets
from lifecycle.sockets import bind, listen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from lifecycle import Component
    from lifecycle.asgi import ASGIApp
    from lifecycle.integrations._serving import Run

_PORTS: Final = range(65536)


class HostedServer(Living):
    """A server with a life: an async context manager with a ``drain``.

    Entered, it binds, starts the app's lifespan, and listens. It raises an OSError where it cannot
    be bound, and a RuntimeError where it runs already, or cannot run on this event loop. Left, it
    ends what there is, then the app's lifespan; cancelled, it cuts off whatever is left.
    """

    software: ClassVar[str]
    """The name of the server."""
    scheme: str
    """That of its URLs."""
    backlog: int
    """How many connections may wait to be accepted."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        sockets: Sequence[socket.socket] | None,
        options: dict[str, Any],
    ) -> None:
        """Made by ``server()``; nothing is bound yet.

        Raises:
            TypeError: the app, or a socket, is none, or an option is wrong.
            SettingsError: the host, the port or the mode of the lifespan is none.

        """
        super().__init__()
        if not callable(app):
            message = f"server() takes an ASGI app, not {app!r}; import it, and pass it itself"
            raise TypeError(message)
        self._app = app
        self._host = _host(host)
        self._port = _port(port)
        self._given = None if sockets is None else _sockets(sockets)
        self._lifespan: Mode = _mode(options.pop("lifespan", "auto"))
        self._configure(options)
        self._addresses = _addresses(self._given or ())
        self._sockets: list[socket.socket] = []
        self._websockets = Websockets(app)
        self._serving: Serving | None = None

    @abstractmethod
    def _configure(self, options: dict[str, Any]) -> None:
        """Take the options of the server, its scheme and backlog among them.

        Raises:
            TypeError: an option is unknown, or cannot work inside a system.

        """

    @abstractmethod
    def _prepare(self, app: ASGIApp, sockets: list[socket.socket]) -> Run:
        """Give what serves an app on sockets that are bound, and will listen by then.

        What can fail, as the loading of a certificate, fails here.
        """

    @abstractmethod
    def _require_backend(self) -> None:
        """See that the server can run on the event loop that there is.

        Raises:
            RuntimeError: it cannot; the message says on which.

        """

    @property
    def app(self) -> ASGIApp:
        """The app that it serves, as it was given."""
        return self._app

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Where it listens."""
        return tuple(self._sockets)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each of its sockets; known once they are bound."""
        return self._addresses

    @property
    def port(self) -> int:
        """The port; where it was 0, the one that was found, once the component has started."""
        return self._addresses[0][1] if self._addresses else self._port

    @property
    def url(self) -> str:
        """Where a client on this machine finds it."""
        host = self._addresses[0][0] if self._addresses else self._host
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  it is replaced
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __lifecycle_requires__(self) -> tuple[Component[Any], ...]:
        """What the routes of its app are provided with; asked by the plan of which it is a part."""
        return provided(self._app)

    async def drain(self) -> None:
        """Take no new connections, and close the idle ones; what is in flight goes on.

        Websockets do not: they are closed with code 1012. Those that end by themselves when the
        drain begins have half a second for that.
        """
        serving, component = self._serving, owner()
        if serving is None:
            return
        serving.refuse()
        try:
            await self._websockets.end(math.inf if component is None else component.time_left / 2)
        finally:
            serving.finish()

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncGenerator[None]:
        self._require_backend()
        component = owner()
        if component is not None:
            require_provided(self._app, component)
        failures: list[BaseException] = []
        running = anyio.CancelScope()

        def crashed(failure: BaseException) -> None:
            failures.append(failure)
            running.cancel()

        lifespan = Lifespan(self._app, self._lifespan, crashed)
        self._websockets = Websockets(InFlight(self._app, component))
        calls = Calls(self._websockets, lifespan.state)
        async with self._bound() as sockets:
            run = self._prepare(calls, sockets)
            async with outlasting(calls), lifespan.living():
                listen(sockets, self.backlog)
                serving = self._serving = Serving(self.software, run, calls, crashed)
                async with serving.living(component):
                    name = "it" if component is None else component.name
                    _logger(self).info("%s listens at %s", name, self.url)
                    with running:
                        yield
                    if failures:
                        raise failures[0]

    @contextlib.asynccontextmanager
    async def _bound(self) -> AsyncGenerator[list[socket.socket]]:
        sockets = self._given
        if sockets is None:
            sockets = await bind(self._host, self._port)
        self._sockets, self._addresses = sockets, _addresses(sockets)
        try:
            yield sockets
        finally:
            for one in sockets:
                one.close()

    def __repr__(self) -> str:
        return f"<{self.software}.Server of {self._app!r} at {self.url}>"


def require_asyncio(software: str) -> None:
    """See that a server that needs asyncio, or uvloop, has it.

    Raises:
        RuntimeError: this is trio.

    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        message = (
            f"{software} runs on asyncio and uvloop, and not on trio: `lifecycle.run(…, backend=…)`"
        )
        raise RuntimeError(message) from None


def _sockets(given: Any) -> list[socket.socket]:
    try:
        sockets: list[Any] = list(given)
    except TypeError:
        sockets = [None]
    if not all(isinstance(one, socket.socket) for one in sockets):
        message = f"server() takes sockets that are bound, as in `sockets=[…]`, not {given!r}"
        raise TypeError(message)
    return sockets


def _host(given: Any) -> str:
    if not isinstance(given, str):
        raise SettingsError("host", given, "a name or an address; empty: every interface")
    return given


def _port(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given not in _PORTS:
        raise SettingsError("port", given, "a number from 0, for a free one, to 65535")
    return given


def _mode(given: Any) -> Any:
    if given not in get_args(Mode):
        raise SettingsError("lifespan", given, '"auto", "on" or "off"')
    return given


def _addresses(sockets: Sequence[socket.socket]) -> tuple[tuple[str, int], ...]:
    return tuple(one.getsockname()[:2] for one in sockets)


def _logger(server: HostedServer) -> logging.Logger:
    return logging.getLogger(f"lifecycle.integrations.{server.software}")
