"""A server requires what the routes of its app are provided with."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

import lifecycle
from lifecycle import Outcome, Registry, requires, requires_all
from lifecycle.errors import InvalidComponentError, StartError
from lifecycle.integrations import uvicorn
from lifecycle.integrations.fastapi import provide, provided_by

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio; uvicorn's own tests run on uvloop, too."""
    return "asyncio"


class Shop:
    """A database that says what happens to it, and an app that needs it."""

    def __init__(self) -> None:
        self.registry = Registry("shop")
        self.api = FastAPI()
        self.log: list[str] = []

        @self.registry.component
        async def database() -> AsyncIterator[str]:
            self.log.append("opened")
            yield "the database"
            self.log.append("closed")

        self.database = database

        @self.api.get("/")
        async def home(database: str = provide(database)) -> str:
            self.log.append(f"asked {database}")
            return database

    def server(self) -> uvicorn.Server:
        """Make the server."""
        return uvicorn.server(self.api, port=0)

    def web(self) -> Any:
        """Declare the server by a function without parameters, whose result nobody knows."""
        return self.registry.build(self.server, name="web")


async def ask(url: str) -> httpx.Response:
    """Ask a server that listens."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.get(url)


async def test_one_that_is_added() -> None:
    """By itself: it starts after what its routes need, and ends before that."""
    shop = Shop()
    web = shop.registry.add(shop.server(), name="web")

    plan = shop.registry.plan()
    async with lifecycle.running(plan) as system:
        answer = await ask(system[web].url)

    assert [plan.index_of[shop.database]] == list(plan.components[plan.index_of[web]].requires)
    assert answer.json() == "the database"
    assert shop.log == ["opened", "asked the database", "closed"]


async def test_a_part_of_the_registry_brings_it_along() -> None:
    """Even where nobody has said that the server needs it."""
    shop = Shop()
    web = shop.registry.add(shop.server(), name="web")
    shop.registry.value(1, name="something else")

    assert ["database", "web"] == [node.name for node in shop.registry.only(web).plan().components]


async def test_one_that_is_made_by_a_function_has_to_be_told() -> None:
    """`provided_by` says what."""
    shop = Shop()
    needs = provided_by(shop.api)
    web = shop.registry.build(requires=needs, name="web")(shop.server)

    async with lifecycle.running(shop.registry) as system:
        assert (await ask(system[web].url)).json() == "the database"


async def test_so_has_one_that_stands_in_for_another() -> None:
    """What is overridden has lost its dependencies, and has those that the new function says."""
    shop = Shop()
    web = shop.registry.add(shop.server(), name="web")

    def at_a_free_port(_: Any = requires_all(provided_by(shop.api))) -> uvicorn.Server:
        return shop.server()

    async with lifecycle.running(shop.registry.override(web.made_by(at_a_free_port))) as system:
        assert (await ask(system[web].url)).json() == "the database"
    await start_error(shop.registry.override(web.made_by(shop.server)))


async def test_it_may_depend_on_it_through_others() -> None:
    """An app that is a component may require what its routes need."""
    shop = Shop()

    @shop.registry.component(after=[shop.database])
    async def api() -> FastAPI:
        return shop.api

    @shop.registry.build
    def web(api: FastAPI = requires(api)) -> uvicorn.Server:
        return uvicorn.server(api, port=0)

    async with lifecycle.running(shop.registry) as system:
        assert (await ask(system[web].url)).json() == "the database"


async def start_error(registry: Registry) -> StartError:
    """Give the error with which a start fails."""
    with pytest.raises(StartError) as caught:
        async with lifecycle.running(registry):
            pass
    assert isinstance(caught.value.__cause__, InvalidComponentError)
    return caught.value


async def test_one_that_was_not_told_does_not_start() -> None:
    """Whether the database happens to be ready by then or not; the error says what to write."""
    shop = Shop()
    shop.web()

    error = await start_error(shop.registry)

    assert str(error) == (
        "'web' did not start: InvalidComponentError: 'web' does not depend on 'database', with "
        "which the routes of its app are provided: they could be called before that is ready, or "
        "after it has been closed. Declare it with `requires=provided_by(app)`; or give the "
        "function that makes it a parameter with the default `requires_all(provided_by(app))`"
    )


def another(shop: Shop) -> Any:
    """Something that another registry has."""
    return Registry("other").value(1, name="tags")


def left_out(shop: Shop) -> Any:
    """Something that is declared, and is not there."""
    return shop.registry.value(1, name="tags", enabled=False)


@pytest.mark.parametrize("tags", [another, left_out])
async def test_what_is_no_part_of_the_plan(tags: Callable[[Shop], Any]) -> None:
    """Cannot be provided; what exists when the plan is made is found by that."""
    shop = Shop()
    handle = tags(shop)

    @shop.api.get("/tags")
    async def get_tags(tags: int = provide(handle)) -> int:
        return tags

    shop.registry.build(requires=[shop.database], name="web")(shop.server)
    error = await start_error(shop.registry)

    assert str(error) == (
        "'web' did not start: InvalidComponentError: 'web' serves routes that are provided with "
        "what 'shop' does not have: 'tags'. include() the registry that declares it"
    )
    shop.registry.add(shop.server(), name="web too")
    with pytest.raises(lifecycle.errors.DefinitionError, match="'web too' requires 'tags', and it"):
        shop.registry.plan()


async def test_routes_that_were_added_after_the_plan() -> None:
    """Are seen by the start."""
    shop = Shop()
    tags = shop.registry.value(1, name="tags")
    shop.registry.add(shop.server(), name="web")
    plan = shop.registry.plan()

    @shop.api.get("/tags")
    async def get_tags(tags: int = provide(tags)) -> int:
        return tags

    with pytest.raises(StartError, match="'web' does not depend on 'tags'"):
        async with lifecycle.running(plan):
            pass


async def test_what_is_optional_may_fail() -> None:
    """The server starts, and its route is a 503."""
    shop = Shop()

    @shop.registry.component(optional=True)
    async def cache() -> str:
        raise ConnectionRefusedError

    @shop.api.get("/cache")
    async def get_cache(cache: str = provide(cache)) -> str:
        return cache

    web = shop.registry.add(shop.server(), name="web")

    async with lifecycle.running(shop.registry) as system:
        answers = [await ask(system[web].url + path) for path in ("/", "/cache")]
        system.shut_down("the test is over")
        report = await system.closed()

    assert [200, 503] == [answer.status_code for answer in answers]
    assert report.outcome is Outcome.CLEAN


async def test_a_server_without_a_system_has_nobody_to_ask() -> None:
    """It is a context manager; its routes find no system, as ever."""
    shop = Shop()

    async with shop.server() as server:
        assert (await ask(server.url)).status_code == 500


def test_fastapi_is_not_imported_for_that() -> None:
    """An app of another kind needs no FastAPI."""
    program = """
import sys
from lifecycle.integrations import uvicorn

async def app(scope, receive, send): ...

server = uvicorn.server(app, port=0)
print(server.__lifecycle_requires__(), "fastapi" in sys.modules, "starlette" in sys.modules)
"""

    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert ran.stdout.split() == ["()", "False", "False"]
