"""Calls of ASGI apps without a server: messages in, messages out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from lifecycle.asgi import ASGIApp

WEBSOCKET: dict[str, Any] = {"type": "websocket", "path": "/chat"}


class Call:
    """A call as a server makes it, and what the app has answered."""

    def __init__(self, **scope: Any) -> None:
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": "/orders",
            "query_string": b"",
            "headers": [],
            **scope,
        }
        self.sent: list[dict[str, Any]] = []
        self.answering = anyio.Event()

    async def __call__(self, app: ASGIApp) -> None:
        await app(self.scope, self._receive, self._send)

    async def _receive(self) -> Any:
        return {"type": f"{self.scope['type']}.connect"}

    async def _send(self, message: Any) -> None:
        await anyio.lowlevel.checkpoint()  # a server may have to wait: nothing is said in vain
        self.sent.append(message)
        self.answering.set()

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the response."""
        return dict(self.sent[0]["headers"])

    @property
    def answer(self) -> tuple[int, Any]:
        """The status and the content, of a response that is complete."""
        assert self.sent[-1].get("more_body", False) is False
        return self.sent[0]["status"], json.loads(b"".join(m["body"] for m in self.sent[1:]))
