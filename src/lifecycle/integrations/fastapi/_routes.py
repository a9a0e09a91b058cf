"""What the routes of an app are provided with: found by looking, so that nobody has to say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import routing

from lifecycle.integrations.fastapi._providing import Provider

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastapi.dependencies.models import Dependant

    from lifecycle import Component
    from lifecycle.asgi import ASGIApp


def provided_by(app: ASGIApp) -> tuple[Component[Any], ...]:
    """Find the components that the routes of an app are provided with.

    Those of included routers and of mounted apps as well, at any depth of dependencies, for
    requests and for websockets; and through middlewares, as long as they keep what they wrap in an
    attribute ``app``, as those of Starlette do. What a route asks a :data:`CurrentSystem` for
    cannot be seen.

    A server of :mod:`lifecycle.integrations` that exists when the plan is made requires these by
    itself; to one that is made by a function, it has to be said::

        @shop.build(requires=provided_by(api))
        def web(config: Config = requires(config)) -> uvicorn.Server:
            return uvicorn.server(api, port=config.port)

    Returns:
        Each of them once, in the order of the routes.

    """
    calls = (call for route in _routes(app, {}) for call in _calls(route))
    return tuple(dict.fromkeys(call.component for call in calls if isinstance(call, Provider)))


def _routes(app: Any, seen: dict[int, Any]) -> Iterator[Any]:
    """Give the routes of an app, and of what is wrapped by it, or mounted in it."""
    if app is None or id(app) in seen:
        return
    seen[id(app)] = app  # held, so that no other one is given its id
    if not isinstance(getattr(app, "routes", None), Sequence):
        yield from _routes(getattr(app, "app", None), seen)
        return
    routes: Sequence[Any] = app.routes
    for route in _with_included(routes):
        yield route
        yield from _routes(getattr(route, "app", None), seen)


def _with_included(routes: Sequence[Any]) -> Iterable[Any]:
    """Give routes, and in place of included routers theirs, with the dependencies of both."""
    # Before 0.137 an app copies the routes of the routers that it includes.
    if hasattr(routing, "iter_route_contexts"):
        return routing.iter_route_contexts(routes)
    return routes


def _calls(route: Any) -> Iterator[Any]:
    """Give what a route calls to have its parameters filled, and these theirs."""
    top: Dependant | None = getattr(route, "dependant", None)
    todo = [] if top is None else [top]
    while todo:
        dependant = todo.pop()
        yield dependant.call
        todo.extend(reversed(dependant.dependencies))
