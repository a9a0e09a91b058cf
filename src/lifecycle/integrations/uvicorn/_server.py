"""The server as an object with a life, for ``add`` and ``build``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import anyio
from typing_extensions import Self

from lifecycle import Lifetime
from lifecycle.asgi import InFlight
from lifecycle.integrations._lifespan import Lifespan
from lifecycle.integrations._provided import provided, require_provided
from lifecycle.integrations.uvicorn import _options
from lifecycle.integrations.uvicorn._serving import Serving, giving_no_exit, outlasting
from lifecycle.integrations.uvicorn._websockets import Websockets
from lifecycle.sockets import bind, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType

    import uvicorn

    from lifecycle import Component
    from lifecycle.asgi import ASGIApp

_LAST_WORD = 0.5
"""How long websockets have to end by themselves, in seconds."""

_logger = logging.getLogger("lifecycle.integrations.uvicorn")


def server(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    sockets: Sequence[socket.socket] | None = None,
    **options: Any,
) -> Server:
    """Make a server, for ``add`` and ``build``.

    Args:
        app: an ASGI app. Its calls are counted as work in flight, as by
            :class:`lifecycle.asgi.InFlight`.
        host: where to listen; empty: on every interface.
        port: where to listen; 0: at a free one, which is then :attr:`Server.port`.
        sockets: TCP sockets that are bound already, in place of host and port. They are closed at
            the end.
        **options: those of ``uvicorn.Config``. ``log_config`` is None by default.

    Raises:
        TypeError: an option is unknown, or cannot work inside a system.

    """
    _options.check(options)
    if not callable(app):
        message = f"server() takes an ASGI app, not {app!r}; import it, and pass it itself"
        raise TypeError(message)
    return Server(app, host, port, sockets, options)


class Server(AbstractAsyncContextManager["Server"]):
    """A uvicorn server with a life: an async context manager with a ``drain``."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        sockets: Sequence[socket.socket] | None,
        options: dict[str, Any],
    ) -> None:
        """Made by :func:`server`."""
        self._app = app
        self._host = host
        self._port = port
        self._given = None if sockets is None else list(sockets)
        self._lifespan = options.pop("lifespan", "auto")
        self._options: dict[str, Any] = {"log_config": None, **options}
        self._scheme = "https" if self._config(app).is_ssl else "http"  # says which are unknown
        self._addresses = _addresses(self._given or ())
        self._sockets: list[socket.socket] = []
        self._websockets = Websockets(app)
        self._serving: Serving | None = None
        self._life: AbstractAsyncContextManager[None] | None = None

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
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Bind, start the app's lifespan, and listen.

        Raises:
            OSError: the address cannot be bound.
            RuntimeError: there is no asyncio here, or it runs already.

        """
        if self._life is not None:
            message = f"{self!r} runs already"
            raise RuntimeError(message)
        self._life = self._living()
        try:
            await self._life.__aenter__()
        except BaseException:
            self._life = None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End what is left, then the app's lifespan. Cancelled, it cuts off whatever is left."""
        life, self._life = self._life, None
        assert life is not None  # noqa: S101  it was entered
        return await life.__aexit__(kind, error, traceback)

    def __lifecycle_requires__(self) -> tuple[Component[Any], ...]:
        """What the routes of its app are provided with; asked by the plan of which it is a part."""
        return provided(self._app)

    async def drain(self) -> None:
        """Take no new connections, and close the idle ones; what is in flight goes on.

        Websockets do not: uvicorn closes them, with code 1012. Those that end by themselves when
        the drain begins have half a second for that.
        """
        serving, owner = self._serving, _current()
        if serving is None:
            return
        serving.stop_listening()
        time_left = math.inf if owner is None else owner.time_left
        try:
            with anyio.move_on_after(min(_LAST_WORD, time_left / 2)):
                await self._websockets.ended()
        finally:
            serving.refuse()

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncGenerator[None]:
        _require_asyncio()
        owner = _current()
        if owner is not None:
            require_provided(self._app, owner)
        failures: list[BaseException] = []
        running = anyio.CancelScope()

        def crashed(failure: BaseException) -> None:
            failures.append(failure)
            running.cancel()

        lifespan = Lifespan(self._app, self._lifespan, crashed)
        self._websockets = Websockets(InFlight(self._app, owner))
        config = self._config(self._websockets)
        with giving_no_exit():
            config.load()
        left: set[asyncio.Task[None]] = set()
        async with self._bound() as sockets, outlasting(left), lifespan.living():
            listen(sockets, config.backlog)
            serving = self._serving = Serving(config, sockets, lifespan.state, crashed)
            async with serving.living(owner, left):
                _logger.info("%s listens at %s", "it" if owner is None else owner.name, self.url)
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

    def _config(self, app: ASGIApp) -> uvicorn.Config:
        return _options.config(app, self._host, self._port, self._options)

    def __repr__(self) -> str:
        return f"<uvicorn.Server of {self._app!r} at {self.url}>"


def _addresses(sockets: Sequence[socket.socket]) -> tuple[tuple[str, int], ...]:
    return tuple(one.getsockname()[:2] for one in sockets)


def _current() -> Lifetime[Any] | None:
    try:
        return Lifetime.current()
    except LookupError:
        return None


def _require_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        message = (
            "uvicorn runs on asyncio and uvloop, and not on trio: `lifecycle.run(…, backend=…)`"
        )
        raise RuntimeError(message) from None
