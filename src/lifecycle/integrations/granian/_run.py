"""One run of granian's embedded server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from lifecycle.integrations.granian._embedded import Embedded
from lifecycle.integrations.granian._peers import shut_connections_to

if TYPE_CHECKING:
    import socket

    from lifecycle.asgi import ASGIApp

_LAST_MOMENT = 2
"""How long it has to end after its connections were dropped, in seconds."""


class Run:
    """One run of the server; see :class:`lifecycle.integrations._serving.Run`."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], options: dict[str, Any]) -> None:
        """Prepare it.

        Args:
            app: what to serve.
            sockets: where to serve, each by a server of its own.
            options: granian's; a certificate that cannot be loaded raises.

        """
        self._sockets = sockets
        self._addresses = [one.getsockname()[:2] for one in sockets]
        self._servers = [Embedded(app, one, options) for one in sockets]
        self._errors: list[Exception] = []
        # Who cancels it leaves its threads behind; dropped, its connections end by themselves.
        self._scope = anyio.CancelScope(shield=True)

    async def serve(self, listening: anyio.Event) -> None:
        """Serve until asked to finish."""
        to_begin = len(self._servers)

        def begun(error: Exception | None) -> None:
            nonlocal to_begin
            to_begin -= error is None
            if not to_begin:
                listening.set()

        async def run(server: Embedded) -> None:
            try:
                await server.run(begun)
            except Exception as error:  # noqa: BLE001  raised below
                self._errors.append(error)
            finally:
                self.finish()  # where one of them ends, all do

        with self._scope:
            async with anyio.create_task_group() as tasks:
                for server in self._servers:
                    tasks.start_soon(run, server)
        if self._errors:
            raise self._errors[0]
        if self._scope.cancelled_caught:
            message = (
                "granian has not ended, although its connections were dropped: a thread of its is "
                "left behind"
            )
            raise RuntimeError(message)

    def refuse(self) -> None:
        """Do nothing: granian takes connections until it finishes."""

    def finish(self) -> None:
        """Let the connections end that there are."""
        for server in self._servers:
            server.end()
        for one in self._sockets:
            one.close()

    def drop(self) -> None:
        """Drop the connections that there are."""
        shut_connections_to(self._addresses)
        self._scope.deadline = anyio.current_time() + _LAST_MOMENT
