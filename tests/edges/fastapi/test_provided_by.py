"""What the routes of an app are provided with, as it is found by looking at them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket, routing
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Host, Mount, Route, Router

from lifecycle import Registry
from lifecycle.asgi import InFlight
from lifecycle.integrations.fastapi import CurrentSystem, Provider, provide, provided_by

shop = Registry("shop")
A, B, C, D, E = (shop.value(name, name=name) for name in "abcde")


async def needs_d(d: Annotated[str, provide(D)]) -> None:
    """A dependency."""


async def needs_c_and_d(_: Annotated[None, Depends(needs_d)], c: str = provide(C)) -> None:
    """A dependency that has one."""


def api_of(*handles: Any) -> FastAPI:
    """An app with a route for each handle."""
    api = FastAPI()
    for handle in handles:

        @api.get(f"/{handle.name}")
        async def route(value: str = provide(handle)) -> str:
            return value

    return api


def test_each_once_in_the_order_of_the_routes() -> None:
    """Whoever needs it first."""
    assert provided_by(api_of(B, A, B, C)) == (B, A, C)
    assert provided_by(FastAPI()) == ()


def test_below_dependencies_at_any_depth() -> None:
    """What is needed first comes first, in the order in which FastAPI asks."""
    api = FastAPI()

    @api.get("/")
    async def home(
        system: CurrentSystem,
        x: Annotated[None, Depends(needs_c_and_d)],
        a: str = provide(A),
    ) -> None: ...

    assert provided_by(api) == (D, C, A)


def test_of_websockets() -> None:
    """As of requests."""
    api = FastAPI()

    @api.websocket("/chat")
    async def chat(websocket: WebSocket, b: str = provide(B)) -> None: ...

    assert provided_by(api) == (B,)


def test_of_apps_routers_and_routes_as_a_whole() -> None:
    """Dependencies without a parameter, of included routers as well."""
    inner = APIRouter(dependencies=[Depends(Provider(B))])
    outer = APIRouter()

    @inner.get("/inner", dependencies=[Depends(Provider(C))])
    async def route(d: str = provide(D)) -> None: ...

    @inner.websocket("/chat", dependencies=[Depends(Provider(E))])
    async def chat(websocket: WebSocket) -> None: ...

    outer.include_router(inner, prefix="/v1")
    api = FastAPI(dependencies=[Depends(Provider(A))])
    api.include_router(outer)

    assert provided_by(api) == (A, B, C, D, E)


def test_of_a_router_that_is_included_with_more_dependencies() -> None:
    """They belong to this inclusion alone."""
    router = APIRouter()

    @router.get("/")
    async def route(a: str = provide(A)) -> None: ...

    with_more, without = FastAPI(), FastAPI()
    with_more.include_router(router, prefix="/more", dependencies=[Depends(needs_d)])
    without.include_router(router, prefix="/less")

    assert provided_by(with_more) == (D, A)
    assert provided_by(without) == (A,)


def test_of_what_is_mounted() -> None:
    """In whatever way, and whatever is around it."""
    with_middleware = api_of(B)
    with_middleware.add_middleware(CORSMiddleware)
    api = api_of(A)
    api.mount("/b", with_middleware)
    api.mount("/c", CORSMiddleware(Router([Mount("/x", api_of(C))])))
    top = Starlette(routes=[Mount("/", api), Host("d.example", api_of(D)), Route("/s", api)])

    assert provided_by(InFlight(top)) == (A, B, C, D)


@pytest.mark.skipif(
    not hasattr(routing, "iter_route_contexts"), reason="before 0.137 FastAPI ignores such a mount"
)
def test_of_what_is_mounted_in_an_included_router() -> None:
    """Likewise."""
    router = APIRouter()
    router.mount("/deep", api_of(E))
    api = FastAPI()
    api.include_router(router)

    assert provided_by(api) == (E,)


def test_an_app_may_be_mounted_in_itself() -> None:
    """Nothing is looked at twice."""
    api = api_of(A)
    api.mount("/again", api)

    assert provided_by(api) == (A,)


def test_of_apps_of_another_kind() -> None:
    """Nothing can be known, and nothing is wrong."""

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    assert provided_by(app) == ()


@pytest.mark.parametrize("wrapped", [False, True])
def test_routes_that_come_later_are_found_later(*, wrapped: bool) -> None:
    """What was found is not kept."""
    api = api_of(A)
    app = InFlight(api) if wrapped else api
    before = provided_by(app)

    @api.get("/later")
    async def later(b: str = provide(B)) -> None: ...

    assert (before, provided_by(app)) == ((A,), (A, B))
