"""The server, as a component of the system that is its guest: what depends on all others.

So it is drained before them, its requests are its work in flight, and whatever is true of
components is true of it, limits and reports included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio

from lifecycle import Lifetime, Registry
from lifecycle.asgi import InFlight, NotReady
from lifecycle.errors import ClosedError
from lifecycle.integrations._hosted import HostedServer
from lifecycle.integrations._lifespan import Lifespan
from lifecycle.integrations._provided import require_provided
from lifecycle.integrations._websockets import Websockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lifecycle import Component
    from lifecycle.asgi import ASGIApp, Receive, Scope, Send
    from lifecycle.integrations.guest._owner import Owner
    from lifecycle.overseer import Overseer

NAME = "server"


class Part:
    """The server in whose process the system lives."""

    def __init__(self, owner: Owner, overseer: Overseer, app: ASGIApp, *, lifespan: bool) -> None:
        """Prepare it.

        Args:
            owner: what can be said to it.
            overseer: knows what signals have come.
            app: what it serves.
            lifespan: whether the app has a lifespan of its own to be run.

        """
        self.gone = anyio.Event()
        """The server has ended: no request is being handled, and none will come."""
        self.was_told = False
        """Whether it was told to end, and does."""
        self.state: dict[str, Any] = {}
        """What the app's own lifespan has put there."""
        self._life: Lifetime[Any] | None = None
        self._websockets = Websockets(app)
        self._is_in_vain = False
        self._owner = owner
        self._overseer = overseer
        self._app = app
        self._lifespan = lifespan

    def declared(self, registry: Registry) -> Registry:
        """Make a registry of which it is a part, after all others."""
        components = _components(registry)
        # For host mode there may be a server of the same app in it: here, there is one already.
        own = [one for one, node in components if _serves(node.value, self._app)]
        if own:
            registry = registry.without(*own)
            components = _components(registry)
        whole = Registry(registry.name)
        whole.include(registry)
        name = _free_name({node.name for _, node in components})
        server = whole.component(name=name, after=[one for one, _ in components])(self._living)
        server.drain(Part._drain)
        return whole

    def around(self, app: ASGIApp) -> ASGIApp:
        """Make the app's calls work in flight, of the server's."""
        system = self._overseer.system
        assert system is not None  # noqa: S101  it has begun
        inside = self._websockets = Websockets(InFlight(app, self._life or system))

        async def door(scope: Scope, receive: Receive, send: Send) -> None:
            if self._is_in_vain and scope["type"] in ("http", "websocket"):
                closed = ClosedError(None, system.shutdown_reason or "")
                await NotReady(closed)(scope, receive, send)
            else:
                await inside(scope, receive, send)

        return door

    async def _living(self) -> AsyncGenerator[Part]:
        self._life = life = Lifetime.current()
        require_provided(self._app, life)
        failures: list[BaseException] = []
        running = anyio.CancelScope()

        def crashed(failure: BaseException) -> None:
            failures.append(failure)
            running.cancel()

        lifespan = Lifespan(self._app, "auto" if self._lifespan else "off", crashed)
        async with lifespan.living():
            self.state = lifespan.state
            with running:
                yield self
            if failures:
                raise failures[0]
            self._tell()  # where it was not asked to drain

    async def _drain(self) -> None:
        """Tell the server to end, and wait until it has."""
        life = Lifetime.current()
        # Servers close websockets at once, whoever was about to say goodbye, or drop them.
        await self._websockets.end(life.time_left / 2)
        failed = life.system.status().error is not None
        if self._tell() or not failed:
            # Where it cannot be told, whoever has asked for the end will see to its own.
            await self.gone.wait()
        else:
            # It goes on listening: what comes now would keep the rest from its end.
            self._is_in_vain = True

    def _tell(self) -> bool:
        if not self.was_told and not self.gone.is_set():
            self.was_told = self._owner.stop(self._overseer.received)
        return self.was_told


def _components(registry: Registry) -> list[tuple[Component[Any], Any]]:
    return [(cast("Component[Any]", node.handle), node) for node in registry.plan().components]


def _serves(value: Any, app: ASGIApp) -> bool:
    """Whether something is a server of ours, and that of an app."""
    return isinstance(value, HostedServer) and _innermost(value.app) is _innermost(app)


def _innermost(app: Any) -> Any:
    """What middlewares are around, as far as they keep it where Starlette's do."""
    seen: list[Any] = []
    while app is not None and not any(app is one for one in seen):
        seen.append(app)
        app = getattr(app, "app", None)
    return seen[-1] if seen else None


def _free_name(names: set[str]) -> str:
    name = NAME
    while name in names:
        name += "_"
    return name
