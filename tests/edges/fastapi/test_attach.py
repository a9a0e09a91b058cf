"""An app that is called by a test, without a server."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import lifecycle
from lifecycle import Registry
from lifecycle.asgi import InFlight, system_of
from lifecycle.integrations.fastapi import CurrentSystem, attach
from tests.edges.fastapi.kit import get

pytestmark = pytest.mark.anyio


def name_api() -> FastAPI:
    """An app that says which system it belongs to."""
    api = FastAPI()

    @api.get("/")
    async def name(system: CurrentSystem) -> str:
        return system.name

    return api


async def test_it_holds_from_the_call_on() -> None:
    """Used as a context manager until its end; then the app is as it was."""
    api = name_api()

    async with lifecycle.running(Registry("shop")) as system:
        attached = attach(api, system)
        assert (await get(api)).json() == "shop"
        assert (await get(attached)).json() == "shop"
        attached.detach()
        with pytest.raises(LookupError):
            await get(api)

        with attach(api, system) as the_same:
            assert the_same is api
            assert (await get(api)).json() == "shop"
        with pytest.raises(LookupError):
            await get(api)


async def test_the_last_one_counts() -> None:
    """Each test attaches a system of its own, and need not take it away again."""
    api = name_api()

    async with (
        lifecycle.running(Registry("outer")) as outer,
        lifecycle.running(Registry("inner")) as inner,
    ):
        with attach(api, outer):
            with attach(api, inner):
                assert (await get(InFlight(api, outer))).json() == "inner"
            assert (await get(api)).json() == "outer"
        attach(api, outer)
        attach(api, inner)
        assert (await get(api)).json() == "inner"


async def test_mounted_apps_and_plain_routes_find_it_too() -> None:
    """It stands where servers put it."""

    async def home(request: Request) -> PlainTextResponse:
        return PlainTextResponse(system_of(request.scope).name)

    api = Starlette(routes=[Route("/", home)])
    api.mount("/sub", name_api())

    async with lifecycle.running(Registry("shop")) as system:
        with attach(api, system):
            assert ["shop", '"shop"'] == [(await get(api, path)).text for path in ("/", "/sub/")]


async def test_handlers_may_be_added_until_the_first_call() -> None:
    """The app is not put together before."""
    api = name_api()

    @api.get("/broken")
    async def broken() -> None:
        raise KeyError

    async with lifecycle.running(Registry("shop")) as system:
        with attach(api, system):
            api.add_exception_handler(KeyError, lambda *_: PlainTextResponse("handled"))
            assert (await get(api, "/broken")).text == "handled"


async def test_other_apps_have_other_ways() -> None:
    """Which the error names."""
    async with lifecycle.running(Registry("shop")) as system:
        app = InFlight(name_api())
        with pytest.raises(
            TypeError, match=r"takes a FastAPI or Starlette app.*InFlight\(app, sys"
        ):
            attach(app, system)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
