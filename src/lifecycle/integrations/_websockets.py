"""The websockets that are open, and their end: none outlasts the drain, and each is told.

Some servers close them at once, some not before they are killed, and each with another code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from lifecycle.asgi import ASGIApp, Message, Receive, Scope, Send

LAST_WORD = 0.5
"""How long websockets have to end by themselves, in seconds; and to be closed, after that."""

_CODE: Final = 1012
"""Service restart: come back, to somebody else."""
_REASON: Final = "the service is shutting down"


class Websockets:
    """An app whose websockets are counted, and can be closed from outside."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app
        self._open: dict[_Websocket, None] = {}
        self._none_left = anyio.Event()
        self._is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a call."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        websocket = _Websocket(receive, send)
        if self._is_closing:
            await websocket.close()
        self._open[websocket] = None
        try:
            await self._app(scope, websocket.receive, websocket.send)
        finally:
            del self._open[websocket]
            if not self._open:
                self._none_left.set()
                self._none_left = anyio.Event()

    async def end(self, within: float) -> None:
        """Let them end themselves, for a moment, and close those that do not, with code 1012.

        Args:
            within: how long this may take at most; no more than a second is used.

        """
        within = min(LAST_WORD, within / 2)
        with anyio.move_on_after(within):
            await self._ended()
        self._is_closing = True
        with anyio.move_on_after(within):  # whoever does not read cannot be told
            async with anyio.create_task_group() as tasks:
                for websocket in list(self._open):
                    tasks.start_soon(websocket.close)

    async def _ended(self) -> None:
        while self._open:
            await self._none_left.wait()


class _Websocket:
    """One of them: what it is told, and what it says."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_accepted = False
        self._is_over = False
        """Whether the client, or the app, has ended it."""
        self._is_to_be_closed = False
        self._is_closing = False
        """Whether it is, or was, closed from here."""
        self._receiving = anyio.CancelScope()
        self._is_closed = anyio.Event()
        """Set when the client has been told, or could not be."""

    async def receive(self) -> Message:
        """Give what the client says; once it was closed from here, that it is gone."""
        if not self._is_closing:
            with anyio.CancelScope() as self._receiving:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    self._is_over = True
                return message
        # Where the handler ends first, some servers drop the connection, and the close with it.
        await self._is_closed.wait()
        return {"type": "websocket.disconnect", "code": _CODE, "reason": _REASON}

    async def send(self, message: Message) -> None:
        """Pass on what the app says.

        Raises:
            OSError: it was closed from here.

        """
        kind = message["type"]
        if self._is_closing:
            if kind == "websocket.close":
                return
            await self._is_closed.wait()
            error = f"this websocket was closed with code {_CODE}: {_REASON}"
            raise ConnectionResetError(error)
        if kind in ("websocket.close", "websocket.http.response.start"):
            self._is_over = True
        await self._send(message)
        if kind == "websocket.accept":
            self._is_accepted = True
            if self._is_to_be_closed:
                await self.close()

    async def close(self) -> None:
        """Close it; one that has not been accepted yet, when it is."""
        self._is_to_be_closed = True
        if self._is_over or self._is_closing or not self._is_accepted:
            return
        self._is_closing = True
        # Some servers cannot close a websocket while somebody receives from it.
        self._receiving.cancel()
        try:
            await self._send({"type": "websocket.close", "code": _CODE, "reason": _REASON})
        finally:
            self._is_closed.set()
