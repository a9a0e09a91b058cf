"""granian as an object with a life, for ``add`` and ``build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.integrations._hosted import HostedServer, require_asyncio
from lifecycle.integrations.granian import _options
from lifecycle.integrations.granian._run import Run

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

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
        **options: those of ``granian.server.embed.Server``; and ``lifespan``, "auto", "on" or
            "off".

    Raises:
        TypeError: an option is unknown, or cannot work inside a system.
        SettingsError: `host`, `port` or `lifespan` is none.

    """
    return Server(app, host, port, sockets, options)


class Server(HostedServer):
    """A granian server with a life: an async context manager with a ``drain``."""

    software = "granian"
    backlog = 1024

    def _configure(self, options: dict[str, Any]) -> None:
        _options.check(options)
        self._options = options
        self.scheme = "https" if options.get("ssl_cert") and options.get("ssl_key") else "http"
        self.backlog = options.setdefault("backlog", self.backlog)

    def _prepare(self, app: ASGIApp, sockets: list[socket.socket]) -> Run:
        return Run(app, sockets, self._options)

    def _require_backend(self) -> None:
        require_asyncio(self.software)
