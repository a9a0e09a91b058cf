"""Any ASGI app, with a system that lives as long as it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.asgi import STATE_KEY
from lifecycle.errors import one_line
from lifecycle.integrations._given import given
from lifecycle.integrations.guest._living import living

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle import Registry, Settings
    from lifecycle.asgi import ASGIApp, Receive, Scope, Send
    from lifecycle.events import Observer
    from lifecycle.integrations.guest._living import Companion


def wrap(
    app: ASGIApp,
    registry: Registry,
    settings: Settings | None = None,
    *,
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
) -> Guest:
    """Give an ASGI app a system, which lives as long as a server serves the app.

    The app's own lifespan, if it has one, runs inside: it begins when all components are ready, and
    ends before the first of them is stopped. Calls are counted as work in flight, as by
    :class:`lifecycle.asgi.InFlight`, and find the system in ``scope["state"]["lifecycle"]``.

    Args:
        app: the app.
        registry: what to run.
        settings: the numbers; by default ``Settings.from_env()``, read when the server starts.
        companions: what accompanies the system, as for :func:`lifecycle.running`.
        observers: what is told every event.

    Raises:
        TypeError: one of these is something else.

    """
    companions, observers = given("wrap()", registry, settings, companions, observers)
    return Guest(app, registry, settings, companions, observers)


class Guest:
    """An ASGI app with a system; made by :func:`wrap`."""

    def __init__(
        self,
        app: ASGIApp,
        registry: Registry,
        settings: Settings | None,
        companions: Sequence[Companion],
        observers: Sequence[Observer],
    ) -> None:
        self.app = app
        self._registry = registry
        self._settings = settings
        self._companions = companions
        self._observers = observers
        self._inside: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a call, or live."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._inside(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        what = "startup"
        try:
            async with living(
                self.app,
                self._registry,
                self._settings,
                companions=self._companions,
                observers=self._observers,
                lifespan=True,
            ) as stay:
                state: dict[str, Any] = scope.setdefault("state", {})
                state.update({**stay.state, STATE_KEY: stay.system})
                self._inside = stay.around(self.app)
                await send({"type": "lifespan.startup.complete"})
                what = "shutdown"
                await receive()
        except Exception as error:  # noqa: BLE001  the server is told
            await send({"type": f"lifespan.{what}.failed", "message": one_line(error)})
            return
        finally:
            self._inside = self.app
        await send({"type": "lifespan.shutdown.complete"})
