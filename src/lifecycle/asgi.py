"""What an ASGI app needs in order to end well, under whichever server.

:class:`InFlight` counts calls, so that the drain waits for them, and ends those that are left when
its time is over. :class:`NotReady` is the answer to a call that came too early.

::

    app = InFlight(api)

    api.add_exception_handler(NotReadyError, lambda request, error: NotReady(error))
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from lifecycle import Lifetime, System
from lifecycle.errors import ClosedError, NotReadyError, WorkCancelledError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RETRY_AFTER", "STATE_KEY", "ASGIApp", "InFlight", "NotReady"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE_KEY = "lifecycle"
"""Under this key of ``scope["state"]`` stands the system: ``request.state.lifecycle``."""

RETRY_AFTER = 1
"""After how many seconds a client is told to ask again: another replica can answer by then."""

_SERVICE_RESTART = 1012
"""The close code of a websocket whose server goes away; clients come back."""
_COUNTED = "lifecycle.in_flight"
_LONGEST = 200


class InFlight:
    """Counts HTTP requests and websockets as work in flight; a pure ASGI middleware.

    * The drain waits for each call, as for any ``hold``. The work is that of the component in whose
      context it runs, as a server's does, else the system's.
    * From the request to shut down on, responses say ``Connection: close``, so that clients come
      back on a connection to somebody who stays.
    * A call that is left when the time to drain is over is cancelled, and its client told: by a 503
      if nothing was sent yet, by the end of the connection if something was, by close code 1012 if
      it is a websocket. Streams that end by themselves before that lose nothing: they ask
      ``request.state.lifecycle.draining``, or iterate over ``….until_draining(source)``.
    * A call that comes when no work is taken any more is answered with a 503.

    It is to be the outermost middleware. Inside another one it does nothing, so that a call counts
    once.
    """

    def __init__(self, app: ASGIApp, system: System | Lifetime[Any] | None = None) -> None:
        """Wrap an app.

        Args:
            app: the app.
            system: whose work it is; by default the system in ``scope["state"]["lifecycle"]``, else
                that of the component in whose context the call runs. Where there is none, calls go
                through untouched.

        """
        self.app = app
        self._owner = system

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one call."""
        owner = None
        if scope["type"] in ("http", "websocket") and _COUNTED not in scope:
            owner = self._owner or _owner_by(scope)
        if owner is None:
            await self.app(scope, receive, send)
            return
        system = owner.system if isinstance(owner, Lifetime) else owner
        state: dict[str, Any] = {STATE_KEY: system, **(scope.get("state") or {})}
        scope = {**scope, "state": state, _COUNTED: True}
        kind = _WebSocket if scope["type"] == "websocket" else _Request
        call = kind(scope, receive, send, owner)
        try:
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(owner.hold(call.what))
                except ClosedError:
                    await call.end("the service is shutting down")
                    return
                await self.app(scope, call.receive, call.send)
        except WorkCancelledError:
            # The cancellation is over by now: what is said here is heard.
            await call.end("the service is shutting down, and the time for this call is over")


class NotReady:
    """The answer to a call that needed a component which is not ready: 503, as an ASGI app.

    It names the component, and says when to ask again; nothing else of the error gets out.
    """

    def __init__(
        self, error: NotReadyError | ClosedError, *, retry_after: int = RETRY_AFTER
    ) -> None:
        """Answer for an error.

        Args:
            error: what the call ran into.
            retry_after: after how many seconds the client is told to ask again.

        """
        self._body = {"error": type(error).__name__, "component": error.component}
        self._retry_after = retry_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the call."""
        del receive
        if scope["type"] == "websocket":
            await _refuse_websocket(scope, send, self._body, self._retry_after)
        else:
            await _unavailable(send, self._body, self._retry_after)


def _owner_by(scope: Scope) -> System | Lifetime[Any] | None:
    """Find whose work a call is: of the component in whose context it runs, else the system's."""
    state: dict[str, Any] = scope.get("state") or {}
    system: System | None = state.get(STATE_KEY)
    try:
        lifetime: Lifetime[Any] | None = Lifetime.current()
    except LookupError:
        lifetime = None
    if lifetime is not None and system in (None, lifetime.system):
        return lifetime
    return system


class _Call:
    """One call: what was said in it, and by whom."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, owner: System | Lifetime[Any]
    ) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._owner = owner
        self._began = False
        self._is_over = False

    @property
    def what(self) -> str:
        """What it is, for reports: never the query, which may hold secrets."""
        path = quote(str(self.scope["path"]), safe="/:@!$&'()*+,;=~")
        return f"{self._verb} {path}"[:_LONGEST]

    @property
    def _verb(self) -> str:
        return "WEBSOCKET"

    async def receive(self) -> Message:
        """Pass on what the client says."""
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Pass on what the app says."""
        await self._send(message)

    async def end(self, reason: str) -> None:
        """Say the last word; the app will not speak any more."""
        if self._is_over:
            return
        # A client that is gone by now needs no word; servers differ in how they say that it is.
        with contextlib.suppress(OSError, RuntimeError):
            await self._end(reason)

    async def _end(self, reason: str) -> None:
        raise NotImplementedError


class _Request(_Call):
    """An HTTP request."""

    _is_event_stream = False

    @property
    def _verb(self) -> str:
        return str(self.scope["method"])

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._began = True
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            self._is_event_stream = _content_type(headers).startswith(b"text/event-stream")
            if self._closes_connection():
                headers = [
                    (name, value) for name, value in headers if name.lower() != b"connection"
                ]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_over = True
        await self._send(message)

    def _closes_connection(self) -> bool:
        """Whether the client is to come back on another connection; HTTP/2 has no such header."""
        is_http1 = str(self.scope.get("http_version", "1.1")).startswith("1")
        return is_http1 and _is_shutting_down(self._owner)

    async def _end(self, reason: str) -> None:
        if not self._began:
            await _unavailable(self._send, {"error": reason}, RETRY_AFTER, close=True)
        elif self._is_event_stream:
            # Its end is no loss: clients come back, and say which event was the last.
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        # Anything else that was cut off must not look complete: without the end of its body the
        # server closes the connection.


class _WebSocket(_Call):
    """A websocket."""

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._is_over = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self._began = True
        elif message["type"] in ("websocket.close", "websocket.http.response.start"):
            self._is_over = True
        await self._send(message)

    async def _end(self, reason: str) -> None:
        if self._began:
            close = {"type": "websocket.close", "code": _SERVICE_RESTART, "reason": reason}
            await self._send(close)
        else:
            await _refuse_websocket(self.scope, self._send, {"error": reason}, RETRY_AFTER)


def _is_shutting_down(owner: System | Lifetime[Any]) -> bool:
    """Whether a shutdown was asked for, which is before the drain begins."""
    if isinstance(owner, Lifetime):
        return owner.shutdown_reason is not None
    return owner.draining or owner.status().reason is not None


def _content_type(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return next((value for name, value in headers if name.lower() == b"content-type"), b"")


async def _unavailable(
    send: Send,
    content: object,
    retry_after: int,
    *,
    close: bool = False,
    prefix: str = "http",
) -> None:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(retry_after).encode()),
    ]
    if close:
        headers.append((b"connection", b"close"))
    start = {"type": f"{prefix}.response.start", "status": 503, "headers": headers}
    await send(start)
    await send({"type": f"{prefix}.response.body", "body": body, "more_body": False})


async def _refuse_websocket(scope: Scope, send: Send, content: object, retry_after: int) -> None:
    """Refuse a handshake: by a 503 where the server can send one, else by its 403."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await _unavailable(send, content, retry_after, prefix="websocket.http")
    else:
        await send({"type": "websocket.close", "code": _SERVICE_RESTART})
