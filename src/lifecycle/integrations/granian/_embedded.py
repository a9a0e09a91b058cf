"""granian's embedded server, on a socket that is bound already."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from granian import net
from granian.constants import Interfaces
from granian.server import embed

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from lifecycle.asgi import ASGIApp

_QUIET: Final[dict[str, Any]] = {
    "incremental": True,
    "formatters": {},
    "handlers": {},
    "loggers": {},
}
"""A configuration of logging that changes nothing but a level."""

_SocketHolder: Any = net.SocketHolder  # type: ignore[attr-defined]  # pyright: ignore[reportPrivateImportUsage]  # how it is made is not in its stub

_serve_without_lifespan: Any = embed.Server._spawn_asgi_worker  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # what `serve` would call


class Embedded(embed.Server):
    """The server itself, with its hands off logging, and on a socket of ours."""

    def __init__(self, app: ASGIApp, one: socket.socket, options: dict[str, Any]) -> None:
        """Prepare it.

        Args:
            app: what to serve.
            one: where to serve; a duplicate of it is used.
            options: granian's.

        """
        logger = logging.getLogger("_granian")
        level = logger.level
        super().__init__(app, interface=Interfaces.ASGINL, log_dictconfig=_QUIET, **options)
        logger.setLevel(level)
        self._socket = one
        self._shd: Any
        self._sfd: Any

    async def run(self, begun: Callable[[Exception | None], None]) -> None:
        """Serve until told to end.

        Args:
            begun: told when connections are taken, or why they cannot be.

        Raises:
            Exception: granian could not begin.

        """
        loop = asyncio.get_running_loop()
        failed: list[Exception] = []

        async def worker(*args: Any) -> None:
            # All that can fail is done up to its first wait.
            loop.call_soon(lambda: begun(failed[0] if failed else None))
            try:
                await _serve_without_lifespan(*args)
            except Exception as error:  # noqa: BLE001  granian only logs that there was one
                failed.append(error)
                os.close(self._sfd)  # nobody has taken it over

        spawn: Any = worker  # that it is async is not in granian's types
        await self.serve(spawn)
        if failed:
            raise failed[0]

    def end(self) -> None:
        """Let the connections end that there are, and then the server."""
        stop: Callable[[], None] = self.stop
        stop()

    def _init_shared_socket(self) -> None:
        # The end of the server closes the descriptor.
        descriptor = self._socket.dup().detach()
        self._shd = _holder(descriptor, self.backlog)
        self._sfd = descriptor

    @property
    def _bind_addr_fmt(self) -> str:
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _holder(descriptor: int, backlog: int) -> Any:
    """Hand a descriptor over to granian, which takes more or less beside it on each platform."""
    state = (descriptor, False, backlog)  # no path on disk
    if sys.platform == "win32":
        return _SocketHolder(*state[:1])
    return _SocketHolder(*state[: 3 if sys.platform.startswith(("linux", "freebsd")) else 2])
