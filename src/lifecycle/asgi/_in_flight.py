"""Calls as work in flight."""

from __future__ import annotations

import contextlib
import re
from types import NoneType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from lifecycle import Lifetime, System
from lifecycle.asgi._not_ready import SERVICE_RESTART, TRY_AGAIN_LATER, Refusal, can_deny
from lifecycle.asgi._scope import found, is_http1, with_system
from lifecycle.errors import ClosedError, WorkCancelledError, is_only

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.asgi._scope import ASGIApp, Message, Receive, Scope, Send

_COUNTED = "lifecycle.in_flight"
_LONGEST = 200
_HAS_UNSAFE = re.compile(r"[^/:@!$&'()*+,;=~\w.-]", re.ASCII).search
"""Whether anything in a path is to be quoted; of most, nothing is."""
_COME_BACK = (SERVICE_RESTART, TRY_AGAIN_LATER)


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
    * A websocket that the app refuses with close code 1012 or 1013 is refused with a 503, where the
      server can send one: its 403 would say that coming back is of no use.

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

        Raises:
            TypeError: that is something else.

        """
        if not isinstance(cast("object", system), (System, Lifetime, NoneType)):
            message = f"InFlight() takes a System or a Lifetime, not {system!r}"
            raise TypeError(message)
        self.app = app
        self._owner = system

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a call."""
        owner = None
        if scope["type"] in ("http", "websocket") and _COUNTED not in scope:
            owner = self._owner or _owner_by(scope)
        if owner is None:
            await self.app(scope, receive, send)
            return
        system = owner.system if isinstance(owner, Lifetime) else owner
        scope = with_system(scope, system)
        scope[_COUNTED] = True
        kind = _WebSocket if scope["type"] == "websocket" else _Request
        call = kind(scope, receive, send, owner)
        was_taken_in = False
        try:
            with owner.hold(call.what):
                was_taken_in = True
                await self.app(scope, call.receive, call.send)
        except ClosedError:
            if was_taken_in:  # the app has raised it
                raise
            await call.end("the service is shutting down")
        except Exception as error:
            # It comes in a group where a middleware, or the app, uses a task group.
            if not is_only(error, (WorkCancelledError,)):
                raise
            # The cancellation is over by now: what is said here is heard.
            await call.end("the service is shutting down, and the time for this call is over")


def _owner_by(scope: Scope) -> System | Lifetime[Any] | None:
    """Find whose work a call is: of the component in whose context it runs, else the system's."""
    system = found(scope)
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
        path = str(self.scope["path"])
        if _HAS_UNSAFE(path):
            path = quote(path, safe="/:@!$&'()*+,;=~")
        return f"{self._verb} {path}"[:_LONGEST]

    @property
    def _verb(self) -> str:
        return "WEBSOCKET"

    @property
    def receive(self) -> Receive:
        """What gives the app what the client says."""
        return self._receive

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

    _headers: Iterable[tuple[bytes, bytes]] = ()

    @property
    def _verb(self) -> str:
        return str(self.scope["method"])

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._began = True
            self._headers = message.get("headers", ())
            if self._closes_connection():
                self._headers = [
                    *(
                        (name, value)
                        for name, value in self._headers
                        if name.lower() != b"connection"
                    ),
                    (b"connection", b"close"),
                ]
                message = {**message, "headers": self._headers}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_over = True
        await self._send(message)

    def _closes_connection(self) -> bool:
        """Whether the client is to come back on another connection."""
        return self._owner.shutdown_reason is not None and is_http1(self.scope)

    async def _end(self, reason: str) -> None:
        if not self._began:
            await _goes_away(reason)(self.scope, self._receive, self._send)
        elif _content_type(self._headers).startswith(b"text/event-stream"):
            # Its end is no loss: clients come back, and say which event was the last.
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        # Anything else that was cut off must not look complete: without the end of its body the
        # server closes the connection.


class _WebSocket(_Call):
    """A websocket."""

    @property
    def receive(self) -> Receive:
        return self._look_and_receive

    async def _look_and_receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._is_over = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self._began = True
        elif message["type"] in ("websocket.close", "websocket.http.response.start"):
            self._is_over = True
            if not self._began and can_deny(self.scope) and message.get("code") in _COME_BACK:
                reason = message.get("reason") or "the service cannot serve this now"
                goes_away = message["code"] == SERVICE_RESTART
                refusal = Refusal({"error": reason}, reason, goes_away=goes_away)
                await refusal(self.scope, self._receive, self._send)
                return
        await self._send(message)

    async def _end(self, reason: str) -> None:
        if self._began:
            close = {"type": "websocket.close", "code": SERVICE_RESTART, "reason": reason}
            await self._send(close)
        else:
            await _goes_away(reason)(self.scope, self._receive, self._send)


def _content_type(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return next((value for name, value in headers if name.lower() == b"content-type"), b"")


def _goes_away(reason: str) -> Refusal:
    return Refusal({"error": reason}, reason, goes_away=True)
