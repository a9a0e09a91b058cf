"""uvicorn as a component.

::

    @shop.build
    def web(api: FastAPI = requires(api)) -> uvicorn.Server:
        return uvicorn.server(api, port=8000)

It is ready when the app's lifespan is up and the sockets listen. Drained, it refuses connections,
closes those that are idle, and finishes what is in flight; what is not finished when the time to
drain is over is cancelled, endless streams included. Then the app's lifespan is shut down, whose
failure is one of the component's stop.

uvicorn is told to touch neither signals nor logging, and runs on asyncio and uvloop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

import anyio
from typing_extensions import Self

from lifecycle import Lifetime
from lifecycle.asgi import InFlight
from lifecycle.integrations._beside import beside
from lifecycle.integrations._lifespan import Lifespan
from lifecycle.integrations._sockets import bind, listen

try:
    import uvicorn
except ImportError as error:
    message = "uvicorn is not installed: pip install 'anyio-lifecycle[uvicorn]'"
    raise ImportError(message, name=error.name) from error

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from types import TracebackType

    from lifecycle.asgi import ASGIApp

__all__ = ["Server", "server"]

_OWN_PROCESS = "it needs processes of uvicorn's own, and the server lives inside this one"
_SHUTDOWN = "the component's `drain_timeout` and `stop_timeout` say that"
_REFUSED: Final = {
    "callback_notify": "use a service",
    "factory": "call the factory, and pass the app that it gives",
    "fd": "bind a socket, and pass it in `sockets`",
    "interface": "wrap the app, so that it is an ASGI 3 one",
    "limit_max_requests": "it would end the server behind the system's back",
    "limit_max_requests_jitter": "it would end the server behind the system's back",
    "loop": "the event loop is chosen by `lifecycle.run(…, backend=…)`",
    "reload": _OWN_PROCESS,
    "reload_delay": _OWN_PROCESS,
    "reload_dirs": _OWN_PROCESS,
    "reload_excludes": _OWN_PROCESS,
    "reload_includes": _OWN_PROCESS,
    "timeout_graceful_shutdown": _SHUTDOWN,
    "timeout_worker_healthcheck": _OWN_PROCESS,
    "uds": "only TCP is supported",
    "workers": _OWN_PROCESS,
}
_UNWIND = 0.2
"""How long handlers that are cut off at the very end go before the app's lifespan, in seconds."""

_logger = logging.getLogger(__name__)


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
    for name in options:
        if name in _REFUSED:
            message = f"uvicorn's {name!r} cannot be used inside a system: {_REFUSED[name]}"
            raise TypeError(message)
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
        self._serving: _Serving | None = None
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

    async def drain(self) -> None:
        """Take no new connections, and close the idle ones; what is in flight goes on."""
        if self._serving is not None:
            self._serving.refuse()

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncGenerator[None]:
        _require_asyncio()
        owner = _current()
        failures: list[BaseException] = []
        running = anyio.CancelScope()

        def crashed(failure: BaseException) -> None:
            failures.append(failure)
            running.cancel()

        lifespan = Lifespan(self._app, self._lifespan, crashed)
        config = self._config(InFlight(self._app, owner))
        with _giving_no_exit():
            config.load()
        left: set[asyncio.Task[None]] = set()
        async with self._bound() as sockets, _outlasting(left), lifespan.living():
            listen(sockets, config.backlog)
            serving = self._serving = _Serving(config, sockets, lifespan.state, crashed)
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
        # One worker, whatever WEB_CONCURRENCY says: how many there are is decided outside.
        return uvicorn.Config(
            app,
            host=self._host,
            port=self._port,
            lifespan="off",
            interface="asgi3",
            workers=1,
            **self._options,
        )

    def __repr__(self) -> str:
        return f"<uvicorn.Server of {self._app!r} at {self.url}>"


class _Uvicorn(uvicorn.Server):
    """The server itself, with its hands off the signals."""

    def __init__(self, config: uvicorn.Config, state: dict[str, Any]) -> None:
        super().__init__(config)
        self._state = state
        self.listening = anyio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state.update(self._state)
        await super().startup(sockets)
        self.listening.set()


class _Serving:
    """One run of the server, in a task that ends by being asked to, not by being cancelled."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        state: dict[str, Any],
        crashed: Callable[[BaseException], object],
    ) -> None:
        self._server = _Uvicorn(config, state)
        self._sockets = sockets
        self._crashed = crashed
        self._scope = anyio.CancelScope(shield=True)
        self._is_asked = False
        self._over = anyio.Event()
        self._error: BaseException | None = None

    @contextlib.asynccontextmanager
    async def living(
        self, owner: Lifetime[Any] | None, left: set[asyncio.Task[None]]
    ) -> AsyncGenerator[None]:
        """Serve; at the end every connection has ended, and every handler that is not `left`."""
        async with beside(self._run, "lifecycle: uvicorn"):
            try:
                await self._server.listening.wait()
                if self._error is not None:
                    raise self._error
                yield
            finally:
                try:
                    await self._end(math.inf if owner is None else owner.time_left)
                finally:
                    if not self._over.is_set():
                        left.update(await self._cut_off())

    def refuse(self) -> None:
        """Take no new connections; uvicorn sees to those that there are."""
        self._is_asked = True
        self._server.should_exit = True
        # uvicorn does this, too, but only when it next looks.
        for listener in getattr(self._server, "servers", ()):
            listener.close()
        for one in self._sockets:
            one.close()

    async def _run(self) -> None:
        try:
            with self._scope, _giving_no_exit():
                await self._server.serve(sockets=self._sockets)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  raised in the task of the component
            self._error = error
        finally:
            self._over.set()
            was_listening = self._server.listening.is_set()
            self._server.listening.set()
        if was_listening and not self._is_asked:
            self._crashed(self._error or RuntimeError("uvicorn has ended by itself"))

    async def _end(self, time_left: float) -> None:
        """Wait for handlers and connections; the app's lifespan needs some of the time, too."""
        self.refuse()
        with anyio.move_on_after(time_left / 2):
            await self._over.wait()
        if not self._over.is_set():
            state = self._server.server_state
            _logger.warning(
                "half of the time to stop is over: %d handlers are cancelled, "
                "and %d connections dropped",
                len(state.tasks),
                len(state.connections),
            )
            self._cut()
            await self._over.wait()
        if self._error is not None:
            raise self._error

    async def _cut_off(self) -> set[asyncio.Task[None]]:
        """The time is over: end by force what is left, handlers before the app's lifespan."""
        with anyio.CancelScope(shield=True):
            # Interrupted while it opens its listeners it would leave them with the event loop.
            await self._server.listening.wait()
        self.refuse()
        handlers = set(self._server.server_state.tasks)
        self._cut()
        self._scope.cancel()
        if handlers:
            with anyio.move_on_after(_UNWIND, shield=True):
                await asyncio.wait(handlers)
        return {handler for handler in handlers if not handler.done()}

    def _cut(self) -> None:
        """Cancel handlers, and drop connections."""
        state = self._server.server_state
        for handler in list(state.tasks):
            handler.cancel()
        for connection in list(state.connections):
            connection.transport.abort()


@contextlib.asynccontextmanager
async def _outlasting(handlers: set[asyncio.Task[None]]) -> AsyncGenerator[None]:
    """Wait at the end for handlers that not even force could stop; nothing is left behind."""
    try:
        yield
    finally:
        if handlers:
            with anyio.CancelScope(shield=True):
                await asyncio.wait(handlers)


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


@contextlib.contextmanager
def _giving_no_exit() -> Generator[None]:
    """Turn uvicorn's ``sys.exit`` into an error: how the process ends is decided elsewhere."""
    try:
        yield
    except SystemExit as error:
        message = f"uvicorn gave up with exit code {error.code}; its log (`uvicorn.error`) says why"
        raise RuntimeError(message) from error
