"""Answers to calls that cannot be served here and now, but can be later, or elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lifecycle.asgi._scope import is_http1
from lifecycle.errors import ClosedError, RunError

if TYPE_CHECKING:
    from lifecycle.asgi._scope import Receive, Scope, Send

RETRY_AFTER = 1
"""After how many seconds a client is told to ask again: another replica can answer by then."""

SERVICE_RESTART = 1012
"""The close code of a websocket whose server goes away: come back, to somebody else."""
TRY_AGAIN_LATER = 1013
"""The close code of a websocket that cannot be served now: come back in a while."""

_UNAVAILABLE = 503
_LONGEST_REASON = 123
"""How many bytes the protocol has room for where a websocket is closed."""


class Refusal:
    """A 503, or what a websocket can be told in its place; an ASGI app."""

    status_code = _UNAVAILABLE

    def __init__(
        self,
        content: dict[str, str | None],
        reason: str,
        *,
        goes_away: bool,
        retry_after: int = RETRY_AFTER,
    ) -> None:
        """Say why.

        Args:
            content: what the body says, as JSON.
            reason: the same in a few words, for a websocket that is closed.
            goes_away: whether asking on this connection again is of no use.
            retry_after: after how many seconds the client is told to ask again.

        """
        self.content = content
        self.reason = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
        self.close_code = SERVICE_RESTART if goes_away else TRY_AGAIN_LATER
        self._goes_away = goes_away
        self._retry_after = retry_after

    def headers(self, scope: Scope) -> dict[str, str]:
        """Give what the headers say beside the type of the content."""
        headers = {"retry-after": str(self._retry_after)}
        if self._goes_away and scope["type"] == "http" and is_http1(scope):
            headers["connection"] = "close"
        return headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the call; a websocket must not have been accepted."""
        del receive
        if scope["type"] == "http":
            await self._respond(scope, send, "http")
        elif can_deny(scope):
            await self._respond(scope, send, "websocket.http")
        else:
            await send({"type": "websocket.close", "code": self.close_code, "reason": self.reason})

    async def _respond(self, scope: Scope, send: Send, prefix: str) -> None:
        body = json.dumps(self.content).encode()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **self.headers(scope),
        }
        await send(
            {
                "type": f"{prefix}.response.start",
                "status": self.status_code,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await send({"type": f"{prefix}.response.body", "body": body, "more_body": False})


class NotReady(Refusal):
    """The answer to a call that needed a component which is not there: 503, as an ASGI app.

    It names the component and the type of the error, and says when to ask again; nothing else of
    the error gets out. Where the component was closed, the connection is closed, too: somebody else
    is to be asked. A websocket that was not accepted yet is refused, by a 503 as well where the
    server can send one, else by close code 1013, or 1012 where the component was closed.
    """

    def __init__(self, error: RunError, *, retry_after: int = RETRY_AFTER) -> None:
        """Answer for an error.

        Args:
            error: what ``system[component]`` has raised.
            retry_after: after how many seconds the client is told to ask again.

        """
        component: str | None = getattr(error, "component", None)
        is_closed = isinstance(error, ClosedError)
        who = "the service" if component is None else repr(component)
        super().__init__(
            {"error": type(error).__name__, "component": component},
            f"{who} is {'closed' if is_closed else 'not ready'}",
            goes_away=is_closed,
            retry_after=retry_after,
        )


def can_deny(scope: Scope) -> bool:
    """Whether the server can answer the handshake of a websocket by an HTTP response of ours."""
    return "websocket.http.response" in (scope.get("extensions") or {})
