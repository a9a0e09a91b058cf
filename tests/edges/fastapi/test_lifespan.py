"""`FastAPI(lifespan=lifespan(shop))`: a system that lives as long as the app is served."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket

import lifecycle
from lifecycle import Registry, Settings
from lifecycle.errors import CrashedError
from lifecycle.integrations import guest, uvicorn
from lifecycle.integrations.fastapi import CurrentSystem, lifespan, provide
from lifecycle.probes import status_app
from tests.edges.calls import WEBSOCKET, Call
from tests.edges.guest.kit import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from lifecycle.asgi import ASGIApp

pytestmark = pytest.mark.anyio


class Shop:
    """A shop whose app has it for its lifespan."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.log: list[str] = []
        self.registry = Registry("shop")
        self.api = FastAPI(lifespan=lifespan(self.registry, settings))
        self.api.mount("/internal", status_app())

        @self.registry.component
        async def database() -> AsyncIterator[str]:
            self.log.append("opened")
            yield "the database"
            self.log.append("closed")

        self.database = database

        @self.api.get("/")
        async def home(database: str = provide(database)) -> str:
            return database

        @self.api.get("/system")
        async def about(system: CurrentSystem, request: Request) -> dict[str, Any]:
            return {
                "is one": request.state.lifecycle is system,
                "in flight": [[one.component, one.what] for one in system.status().in_flight],
                "components": [node.name for node in system.plan.components],
            }

        @self.api.websocket("/chat")
        async def chat(websocket: WebSocket, database: str = provide(database)) -> None:
            await websocket.accept()
            await websocket.send_text(database)


async def test_routes_have_what_they_have_in_host_mode() -> None:
    """Components, the system, the status; and their calls are in flight."""
    shop = Shop()

    async with Server(shop.api).serving() as server:
        home, system = await server.get("/"), await server.get("/system")
        ready = await server.get("/internal/ready")
        chat = Call(**WEBSOCKET, state=dict(server.state))
        await chat(shop.api)

    assert (200, "the database") == home.answer
    assert {
        "is one": True,
        "in flight": [["server", "GET /system"]],
        "components": ["database", "server"],
    } == system.answer[1]
    assert 200 == ready.answer[0]
    assert "the database" == chat.sent[1]["text"]
    assert ["opened", "closed"] == shop.log


async def test_it_can_be_a_part_of_ones_own() -> None:
    """What that gives beside it is there, too."""
    shop = Shop()

    @contextlib.asynccontextmanager
    async def mine(api: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with lifespan(shop.registry)(api) as state:
            shop.log.append("mine")
            yield {**state, "more": 1}
            shop.log.append("ends")

    api = FastAPI(lifespan=mine)

    @api.get("/")
    async def home(request: Request, database: str = provide(shop.database)) -> str:
        return f"{database} {request.state.more}"

    async with Server(api).serving() as server:
        call = await server.get()

    assert "the database 1" == call.answer[1]
    assert ["opened", "mine", "ends", "closed"] == shop.log


async def test_the_app_is_left_as_it_was() -> None:
    """So that it can be served again, by whomever."""
    shop = Shop()

    async with Server(shop.api).serving():
        pass
    middlewares = shop.api.middleware_stack
    async with Server(shop.api).serving() as server:
        assert 200 == (await server.get()).answer[0]

    assert shop.api.middleware_stack is middlewares
    assert ["opened", "closed"] * 2 == shop.log


@pytest.mark.rule("S3")
async def test_a_start_that_fails() -> None:
    """The server is told why."""
    shop = Shop()

    @shop.registry.component
    async def broker() -> None:
        message = "no broker"
        raise ConnectionError(message)

    serving = Server(shop.api)
    with contextlib.suppress(Exception):  # Starlette raises it as well
        async with serving.serving():
            pass

    assert "lifespan.startup.failed" == serving.sent[0]["type"]
    assert "'broker' did not start: ConnectionError: no broker" in serving.sent[0]["message"]


@pytest.mark.rule("R1")
async def test_a_crash_is_raised_where_the_process_is_not_ours() -> None:
    """In tests, say: by the lifespan, when it ends."""
    registry = Registry("shop")
    crash = anyio.Event()

    @registry.service
    async def fragile() -> None:
        await crash.wait()
        message = "broken"
        raise ValueError(message)

    async def be_served() -> None:
        async with lifespan(registry)(FastAPI()) as state:
            crash.set()
            await state["lifecycle"].closed()

    with pytest.raises(CrashedError, match="'fragile' crashed: ValueError: broken"):
        await be_served()


async def test_what_a_route_needs_has_to_be_there() -> None:
    """Otherwise the start fails, and names it."""
    shop, other = Shop(), Registry("other")
    api = FastAPI(lifespan=lifespan(other))

    @api.get("/")
    async def home(database: str = provide(shop.database)) -> str:
        return database

    serving = Server(api)
    with contextlib.suppress(Exception):  # Starlette raises it as well
        async with serving.serving():
            pass

    message = "serves routes that are provided with what 'other' does not have: 'database'"
    assert message in serving.sent[0]["message"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("form", ["lifespan", "wrap"])
async def test_in_host_mode_it_joins_the_system(form: str) -> None:
    """The same app, served by a server of the same registry: there is one system."""
    shop = Shop()
    api: ASGIApp = shop.api
    if form == "wrap":
        shop.api.router.lifespan_context = FastAPI().router.lifespan_context
        api = guest.wrap(shop.api, shop.registry)
    web = shop.registry.add(uvicorn.server(api, port=0), name="web")

    async with lifecycle.running(shop.registry) as system:
        client = httpx.AsyncClient(base_url=system[web].url, trust_env=False, timeout=60)
        async with client:
            home, about = await client.get("/"), await client.get("/system")

    assert "the database" == home.json()
    assert {
        "is one": True,
        "in flight": [["web", "GET /system"]],
        "components": ["database", "web"],
    } == about.json()
    assert ["opened", "closed"] == shop.log


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("form", ["lifespan", "wrap"])
async def test_in_guest_mode_there_is_no_second_server(form: str) -> None:
    """One of this app in the registry is for host mode; one of another app is another matter."""
    shop = Shop()
    api: ASGIApp = shop.api
    if form == "wrap":
        shop.api.router.lifespan_context = FastAPI().router.lifespan_context
        api = guest.wrap(shop.api, shop.registry)
    shop.registry.add(uvicorn.server(api, port=0), name="web")
    shop.registry.add(uvicorn.server(FastAPI(), port=0), name="admin")

    async with Server(api).serving() as server:
        about = await server.get("/system")

    assert ["database", "admin", "server"] == about.answer[1]["components"]
