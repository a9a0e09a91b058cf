"""The server, as a component of the system that is its guest: what depends on all others.

So it is drained before them, its requests are its work in flight, and whatever is true of
components is true of it, limits and reports included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio

from lifecycle import Lifetime, Registry
from lifecycle.integrations._lifespan import Lifespan
from lifecycle.integrations._provided import require_provided

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lifecycle import Component
    from lifecycle.asgi import ASGIApp
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
        self.life: Lifetime[Any] | None = None
        """Its own, once it has started."""
        self._owner = owner
        self._overseer = overseer
        self._app = app
        self._lifespan = lifespan

    def declared(self, registry: Registry) -> Registry:
        """Make a registry of which it is a part, after all others."""
        # For host mode there may be a server of the same app in it: here, there is one already.
        own = [one for one, value in _components(registry) if _serves(value, self._app)]
        if own:
            registry = registry.without(*own)
        whole = Registry(registry.name)
        whole.include(registry)
        others = [one for one, _ in _components(registry)]
        server = whole.component(name=_free_name(registry), after=others)(self._living)
        server.drain(Part._drain)
        return whole

    async def _living(self) -> AsyncGenerator[Part]:
        self.life = life = Lifetime.current()
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
        failed = Lifetime.current().system.status().error is not None
        if self._tell() or not failed:
            # Where it cannot be told, whoever has asked for the end will see to its own.
            await self.gone.wait()

    def _tell(self) -> bool:
        if not self.was_told and not self.gone.is_set():
            self.was_told = self._owner.stop(self._overseer.received)
        return self.was_told


def _components(registry: Registry) -> list[tuple[Component[Any], Any]]:
    """Give the handle of each component, and its value, where that is known before the start."""
    nodes = registry.plan().components
    return [(cast("Component[Any]", node.handle), node.value) for node in nodes]


def _serves(value: Any, app: ASGIApp) -> bool:
    """Whether something is a server of ours, and that of an app."""
    inner = _innermost(app)
    is_server = hasattr(value, "__lifecycle_requires__")
    return is_server and _innermost(getattr(value, "app", None)) is inner


def _innermost(app: Any) -> Any:
    """What middlewares are around, as far as they keep it where Starlette's do."""
    seen: list[Any] = []
    while app is not None and not any(app is one for one in seen):
        seen.append(app)
        app = getattr(app, "app", None)
    return seen[-1] if seen else None


def _free_name(registry: Registry) -> str:
    names = {node.name for node in registry.plan().components}
    name = NAME
    while name in names:
        name += "_"
    return name
