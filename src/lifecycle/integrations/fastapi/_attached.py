"""An app that knows its system without a server, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from starlette.applications import Starlette

from lifecycle.asgi import STATE_KEY

if TYPE_CHECKING:
    from types import TracebackType

    from lifecycle import System
    from lifecycle.asgi import ASGIApp, Receive, Scope, Send


App = TypeVar("App", bound=Starlette)


def attach(api: App, system: System) -> Attached[App]:
    """Let the calls of an app find a system, without a server; for tests.

    ::

        async with lifecycle.running(shop.only(database)) as system:
            with attach(api, system):
                transport = httpx.ASGITransport(app=api)

    It holds from the call on, until it is called again; used as a context manager, until its end.
    The calls are not counted as work in flight: for that, there is
    :class:`lifecycle.asgi.InFlight`.

    Args:
        api: the app itself, with all its middlewares; what is mounted in it finds the system, too.
        system: the system.

    Returns:
        A context manager that gives the app; it can be called as an app, too.

    Raises:
        TypeError: it is another kind of app.

    """
    if not hasattr(api, "build_middleware_stack"):
        message = (
            f"attach() takes a FastAPI or Starlette app, not {api!r}; any other ASGI app finds the "
            "system through lifecycle.asgi.InFlight(app, system)"
        )
        raise TypeError(message)
    return Attached(api, system)


class Attached(Generic[App]):
    """An app whose calls find a system; made by :func:`attach`."""

    def __init__(self, api: App, system: System) -> None:
        """Attach it."""
        self._api = api
        self._before = api.middleware_stack
        api.middleware_stack = _WithSystem(api, system)

    def detach(self) -> None:
        """Let the app be as it was before."""
        self._api.middleware_stack = self._before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app."""
        await self._api(scope, receive, send)

    def __enter__(self) -> App:
        return self._api

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.detach()


class _WithSystem:
    """All that an app is made of, told of a system."""

    def __init__(self, api: Starlette, system: System) -> None:
        before = api.middleware_stack
        # Where the app is attached already, the last system counts.
        self.stack: ASGIApp | None = before.stack if isinstance(before, _WithSystem) else before
        self._api = api
        self._system = system

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.stack is None:
            self.stack = self._api.build_middleware_stack()
        if scope["type"] in ("http", "websocket"):
            scope["state"] = {**(scope.get("state") or {}), STATE_KEY: self._system}
        await self.stack(scope, receive, send)
