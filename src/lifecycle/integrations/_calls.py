"""The calls of an app that is served, as seen from outside of everything.

No server says which handlers still run, and those that cancel them do not wait for them. Here both
is done for all of them, in the outermost wrapper of the app.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.asgi import ASGIApp, Receive, Scope, Send


class Calls:
    """An app whose handlers can be waited for, and ended by force."""

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        """Wrap an app.

        Args:
            app: the app.
            state: what its lifespan has left there for its requests.

        """
        self._app = app
        self._state = state
        self._running: dict[object, Callable[[], object]] = {}
        """How to cancel each handler."""
        self._none_left = anyio.Event()

    def __len__(self) -> int:
        """How many handlers run."""
        return len(self._running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a call."""
        if scope["type"] in ("http", "websocket"):
            scope["state"] = {**self._state, **(scope.get("state") or {})}
        task = _asyncio_task()
        if task is not None:
            # It has ended when its task has, and not just the part of it that runs here.
            self._running[task] = task.cancel
            task.add_done_callback(self._forget)
            await self._app(scope, receive, send)
            return
        with anyio.CancelScope() as handler:
            self._running[handler] = handler.cancel
            try:
                await self._app(scope, receive, send)
            finally:
                self._forget(handler)

    def cancel(self) -> None:
        """Cancel all handlers by force: on asyncio those, too, that shield themselves."""
        for cancel in list(self._running.values()):
            cancel()

    async def ended(self) -> None:
        """Wait until none runs."""
        while self._running:
            await self._none_left.wait()

    def _forget(self, handler: object) -> None:
        self._running.pop(handler, None)  # one task may have handled several calls
        if not self._running:
            self._none_left.set()
            self._none_left = anyio.Event()


def _asyncio_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
