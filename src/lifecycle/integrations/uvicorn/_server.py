"""uvicorn as an object with a life, for ``add`` and ``build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.integrations import _refused
from lifecycle.integrations._hosted import HostedServer, require_asyncio
from lifecycle.integrations.uvicorn import _options
from lifecycle.integrations.uvicorn._run import Run

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    import uvicorn

    from lifecycle.asgi import ASGIApp


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
        SettingsError: `host`, `port` or `lifespan` is none.

    """
    return Server(app, host, port, sockets, options)


class Server(HostedServer):
    """A uvicorn server with a life: an async context manager with a ``drain``."""

    software = "uvicorn"

    def _configure(self, options: dict[str, Any]) -> None:
        _refused.check(self.software, options, _options.REFUSED)
        self._options: dict[str, Any] = {"log_config": None, **options}
        config = self._config(self._app)  # says which options are unknown
        self.scheme = "https" if config.is_ssl else "http"
        self.backlog = config.backlog

    def _prepare(self, app: ASGIApp, sockets: list[socket.socket]) -> Run:
        return Run(self._config(app), sockets)

    def _require_backend(self) -> None:
        require_asyncio(self.software)

    def _config(self, app: ASGIApp) -> uvicorn.Config:
        return _options.config(app, self._host, self._port, self._options)
