"""hypercorn as an object with a life, for ``add`` and ``build``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lifecycle.integrations import _refused
from lifecycle.integrations._hosted import HostedServer
from lifecycle.integrations.hypercorn import _options

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from lifecycle.asgi import ASGIApp
    from lifecycle.integrations._serving import Run


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
        **options: those of ``hypercorn.Config``, by their names; and ``lifespan``, "auto", "on" or
            "off". ``errorlog`` is the logger ``hypercorn.error`` by default, as it is.

    Raises:
        TypeError: an option is unknown, or cannot work inside a system.
        SettingsError: `host`, `port` or `lifespan` is none.

    """
    return Server(app, host, port, sockets, options)


class Server(HostedServer):
    """A hypercorn server with a life: an async context manager with a ``drain``."""

    software = "hypercorn"

    def _configure(self, options: dict[str, Any]) -> None:
        _refused.check(self.software, options, _options.REFUSED)
        self._config = _options.config(options)
        self.scheme = "https" if self._config.ssl_enabled else "http"
        self.backlog = self._config.backlog

    def _prepare(self, app: ASGIApp, sockets: list[socket.socket]) -> Run:
        # Each is imported by those only who run on it: trio is an extra.
        if _runs_on_asyncio():
            from lifecycle.integrations.hypercorn._asyncio_run import AsyncioRun  # noqa: PLC0415

            return AsyncioRun(app, self._config, sockets)
        from lifecycle.integrations.hypercorn._trio_run import TrioRun  # noqa: PLC0415

        return TrioRun(app, self._config, sockets)

    def _require_backend(self) -> None:
        """See nothing amiss: it runs on both."""


def _runs_on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
