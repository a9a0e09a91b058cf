"""A system that lives as long as an app that is served by somebody else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from lifecycle.asgi import STATE_KEY
from lifecycle.integrations._given import given
from lifecycle.integrations.guest import living

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from starlette.applications import Starlette

    from lifecycle import Registry, Settings, System
    from lifecycle.events import Observer

    LifespanOf = Callable[[Starlette], AbstractAsyncContextManager[Mapping[str, Any]]]
    Companion = Callable[[System], AbstractAsyncContextManager[Any]]


def lifespan(
    registry: Registry,
    settings: Settings | None = None,
    *,
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
) -> LifespanOf:
    """Make the lifespan of a FastAPI or Starlette app: a system lives as long as it is served.

    ::

        api = FastAPI(lifespan=lifespan(shop))      # uvicorn module:api

    What is said of :mod:`lifecycle.integrations.guest` holds. The calls of the app are counted as
    work in flight, and find the system, as in ``request.state.lifecycle``. With a lifespan of your
    own, enter this one in it, and give what it gives::

        @asynccontextmanager
        async def mine(api: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
            async with lifespan(shop)(api) as state:
                yield state

    Args:
        registry: what to run. Servers of this very app in it are left out where the app is served
            by somebody else already.
        settings: the numbers; by default ``Settings.from_env()``, read when the server starts.
        companions: what accompanies the system, as for :func:`lifecycle.running`.
        observers: what is told every event.

    Raises:
        TypeError: one of these is something else.

    """
    companions, observers = given("lifespan()", registry, settings, companions, observers)

    @contextlib.asynccontextmanager
    async def life(api: Starlette) -> AsyncGenerator[Mapping[str, Any]]:
        async with living(
            api, registry, settings, companions=companions, observers=observers
        ) as stay:
            before = api.middleware_stack
            api.middleware_stack = stay.around(before or api.build_middleware_stack())
            try:
                yield {STATE_KEY: stay.system}
            finally:
                api.middleware_stack = before

    return life
