"""The websockets that are open, so that one can wait for those that end themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from lifecycle.asgi import ASGIApp, Receive, Scope, Send


class Websockets:
    """An app whose websockets are counted."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app
        self._open = 0
        self._none_left = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a call."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= 1
            if not self._open:
                self._none_left.set()
                self._none_left = anyio.Event()

    async def ended(self) -> None:
        """Wait until none is open."""
        if self._open:
            await self._none_left.wait()
