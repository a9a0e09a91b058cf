"""The answers of the probes, and the page, as an ASGI app to be mounted into another one."""

from __future__ import annotations

import contextlib
from types import NoneType
from typing import TYPE_CHECKING, cast

import anyio

from lifecycle import System
from lifecycle.asgi import system_of
from lifecycle.probes.routes import respond

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lifecycle.asgi import ASGIApp, Receive, Scope, Send

_LAST_WORD = 0.5
"""How long a stream may go on once the system drains, in seconds."""


def status_app(system: System | None = None) -> ASGIApp:
    """Make an ASGI app that answers as the probe server does: its probes, its status, its page.

    ::

        api.mount("/internal", status_app())      # /internal/ready, /internal/status, /internal/ …

    It is for people, and for what asks through the service's own address. What decides whether the
    process is to be sent requests, or is to be killed, should ask the probe server: a service's own
    server stops listening when the drain begins, and does not answer before it has started.

    Its live page does not keep a server from draining.

    Args:
        system: the system that it tells of; None: the one that each call belongs to, as it stands
            in the scope (see :func:`lifecycle.asgi.system_of`). Where there is none, a call is a
            `LookupError`.

    Raises:
        TypeError: it is something else.

    """
    if not isinstance(cast("object", system), (System, NoneType)):
        message = f"status_app() takes a System, not {system!r}"
        raise TypeError(message)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            about = system_of(scope) if system is None else system
            await _answer(about, scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await _lifespan(receive, send)

    return app


async def _answer(system: System, scope: Scope, receive: Receive, send: Send) -> None:
    query = bytes(scope.get("query_string", b"")).decode("latin-1")
    response = await respond(system, scope["method"], _path(scope), query)
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.code, "headers": headers})
    if response.stream is None or await _stream(system, response.stream(), receive, send):
        await send({"type": "http.response.body", "body": response.body, "more_body": False})


async def _stream(
    system: System, pieces: AsyncGenerator[bytes], receive: Receive, send: Send
) -> bool:
    """Send what there is, until the client leaves, or the system drains.

    Returns:
        Whether the client is still there.

    """
    left = anyio.Event()

    async def until_left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()
        sending.cancel_scope.cancel()

    async def until_draining() -> None:
        await system.wait_draining()
        sending.cancel_scope.deadline = anyio.current_time() + _LAST_WORD

    async with contextlib.aclosing(pieces), anyio.create_task_group() as sending:
        sending.start_soon(until_left)
        sending.start_soon(until_draining)
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        sending.cancel_scope.cancel()
    return not left.is_set()


async def _lifespan(receive: Receive, send: Send) -> None:
    """Have nothing to start, and nothing to stop."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


def _path(scope: Scope) -> str:
    """The path, as seen from where the app is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    # Older servers and frameworks leave the root out of the path.
    return path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path
