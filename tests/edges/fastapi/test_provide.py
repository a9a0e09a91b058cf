"""What a route is given, and what its client is told when there is nothing to give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    HTTPException,
    Request,
    Security,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.responses import JSONResponse

import lifecycle
from lifecycle import Registry, System
from lifecycle.asgi import InFlight
from lifecycle.errors import UnknownComponentError
from lifecycle.integrations.fastapi import CurrentSystem, Provider, attach, provide
from tests.edges.calls import WEBSOCKET, Call
from tests.edges.fastapi.kit import (
    Pool,
    database,
    get,
    get_running,
    shop,
    tags,
    too_early,
    too_late,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio

TheDatabase = Annotated[Pool, provide(database)]

# --- where a value can be asked for --------------------------------------------------------------


async def test_as_a_default_and_in_the_annotation() -> None:
    """The app is made before anything has started: the value is looked up by the call."""
    api = FastAPI()

    @api.get("/default")
    async def default(pool: Pool = provide(database)) -> str:
        return pool.name

    @api.get("/annotated")
    async def annotated(pool: Annotated[Pool, provide(database)], limit: int = 3) -> str:
        return f"{pool.name} {limit}"

    @api.get("/alias")
    def sync(pool: TheDatabase, more: list[str] = provide(tags)) -> str:
        return f"{pool.name} {more}"

    answers = await get_running(api, "/default", "/annotated?limit=7", "/alias")

    assert ["the pool", "the pool 7", "the pool ['new']"] == answers


class Orders:
    """A class as a dependency."""

    def __init__(self, pool: Pool = provide(database)) -> None:
        self.pool = pool


def of_generator(pool: Pool = provide(database)) -> Iterator[str]:
    """A sync generator as a dependency."""
    yield f"sync {pool.name}"


async def of_async_generator(pool: TheDatabase) -> AsyncIterator[str]:
    """An async one."""
    yield f"async {pool.name}"


async def test_below_other_dependencies() -> None:
    """Whatever kind they are of."""
    api = FastAPI()

    @api.get("/")
    async def home(
        orders: Annotated[Orders, Depends()],
        first: Annotated[str, Depends(of_generator)],
        second: Annotated[str, Security(of_async_generator)],
    ) -> list[str]:
        return [orders.pool.name, first, second]

    assert [["the pool", "sync the pool", "async the pool"]] == await get_running(api, "/")


async def test_in_dependencies_of_apps_and_routers_with_prefixes_and_mounts() -> None:
    """Wherever FastAPI looks for them."""
    seen: list[str] = []

    async def note(request: Request, pool: TheDatabase) -> None:
        seen.append(f"{request.url.path} {pool.name}")

    inner = APIRouter(prefix="/inner", dependencies=[Depends(note)])
    outer = APIRouter(prefix="/outer")

    @inner.get("/pool")
    async def pool(pool: TheDatabase) -> str:
        return pool.name

    mounted = FastAPI(dependencies=[Depends(note)])
    mounted.get("/pool")(pool)
    outer.include_router(inner)
    api = FastAPI()
    api.include_router(outer, prefix="/v1")
    api.mount("/sub", mounted)

    answers = await get_running(api, "/v1/outer/inner/pool", "/sub/pool")

    assert answers == ["the pool", "the pool"]
    assert seen == ["/v1/outer/inner/pool the pool", "/sub/pool the pool"]


async def test_in_background_tasks() -> None:
    """What they were given is there until they have ended: the call is in flight until then."""
    api = FastAPI()
    log: list[str] = []

    async def send_mail(pool: Pool, system: System) -> None:
        system.shut_down("deploy")
        await system.wait_draining()
        log.append(f"mail with {system[database].name}, {pool.name}")

    @api.get("/")
    async def home(tasks: BackgroundTasks, pool: TheDatabase, system: CurrentSystem) -> str:
        tasks.add_task(send_mail, pool, system)
        return "ok"

    async with lifecycle.running(shop) as system:
        await get(InFlight(api, system))
        await system.closed()
        log.append("closed")

    assert log == ["mail with the pool, the pool", "closed"]


class Chat(Call):
    """A websocket that the client leaves when it has been told something."""

    async def _receive(self) -> Any:
        if not self.sent:
            return {"type": "websocket.connect"}
        return {"type": "websocket.disconnect", "code": 1001}


async def test_in_routes_of_websockets() -> None:
    """As in others."""
    api = FastAPI()
    ended = []

    @api.websocket("/chat")
    async def chat(websocket: WebSocket, pool: TheDatabase, system: CurrentSystem) -> None:
        await websocket.accept()
        await websocket.send_text(f"{pool.name} {system.draining}")
        with pytest.raises(WebSocketDisconnect):
            await websocket.receive_text()
        ended.append(True)

    async with lifecycle.running(shop) as system:
        call = Chat(**WEBSOCKET)
        await call(attach(api, system))

    assert [True] == ended
    assert ["the pool False"] == [message["text"] for message in call.sent if "text" in message]


async def test_of_an_included_registry_and_of_a_derived_value() -> None:
    """Whatever there is a handle for."""
    api = FastAPI()
    whole, part = Registry("whole"), Registry("part")
    whole.include(part, prefix="part")
    names = part.value(Pool(), name="pool").map(lambda pool: pool.name, name="names")

    @api.get("/")
    async def home(name: str = provide(names)) -> str:
        return name

    assert ["the pool"] == await get_running(api, "/", registry=whole)


async def test_nothing_of_it_is_a_parameter_for_clients() -> None:
    """The schema of the API does not mention it."""
    api = FastAPI()

    @api.get("/")
    async def home(system: CurrentSystem, pool: TheDatabase) -> str:
        return pool.name

    assert list(api.openapi()["paths"]["/"]["get"]) == ["summary", "operationId", "responses"]
    assert list(api.openapi()["paths"]["/"]["get"]["responses"]) == ["200"]


def test_only_components_can_be_provided() -> None:
    """A forgotten decorator is found where it is used."""

    def undeclared() -> None: ...

    with pytest.raises(TypeError, match=r"provide\(\) takes a component, not .* declared, as with"):
        provide(undeclared)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"provide\(\) takes a component, not 'database'$"):
        provide("database")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- in tests ------------------------------------------------------------------------------------


def pool_api() -> FastAPI:
    """An app that needs the database, for requests and for websockets."""
    api = FastAPI()

    @api.get("/")
    async def home(pool: TheDatabase) -> str:
        return pool.name

    @api.websocket("/chat")
    async def chat(websocket: WebSocket, pool: TheDatabase) -> None:
        await websocket.accept()

    return api


async def test_overridden_in_the_registry() -> None:
    """The usual way: everybody gets the same fake, with its own life."""
    registry = shop.override(database.to(Pool("a fake")))

    assert ["a fake"] == await get_running(pool_api(), "/", registry=registry)


async def test_overridden_in_fastapi() -> None:
    """The component is named by its handle; nothing of a system is needed then."""
    api = pool_api()
    api.dependency_overrides[Provider(database)] = lambda: Pool("a fake")

    answer = await get(api)

    assert answer.json() == "a fake"


def test_providers_are_known_by_their_component() -> None:
    """That is what makes them keys."""
    assert Provider(database) == Provider(database)
    assert len({Provider(database), Provider(database), Provider(tags)}) == 2
    assert Provider(database) != database
    assert repr(Provider(database)) == "Provider(<Component 'database' of 'shop'>)"


# --- when it is not there ------------------------------------------------------------------------


async def test_before_it_is_ready() -> None:
    """503: who is not ready, and when to ask again; of the reasons nothing."""
    answers = []

    async def call(system: System) -> None:
        answers.append(await get(attach(pool_api(), system)))

    await too_early(call)

    [answer] = answers
    assert answer.status_code == 503
    assert answer.json() == {"detail": {"error": "NotReadyError", "component": "database"}}
    assert (answer.headers["retry-after"], answer.headers.get("connection")) == ("1", None)


async def test_after_it_was_closed() -> None:
    """503, and not on this connection again."""
    answers = []

    async def call(system: System) -> None:
        answers.append(await get(attach(pool_api(), system)))

    await too_late(call)

    [answer] = answers
    assert answer.status_code == 503
    assert answer.json() == {"detail": {"error": "ClosedError", "component": "database"}}
    assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")


async def test_after_it_has_failed() -> None:
    """503; what is said of an error with secrets is its type."""
    registry = Registry("shop")

    @registry.component(optional=True)
    async def cache() -> Pool:
        raise ConnectionRefusedError("redis://user:secret@cache")

    api = FastAPI()

    @api.get("/")
    async def home(pool: Pool = provide(cache)) -> str:
        return pool.name

    async with lifecycle.running(registry) as system:
        answer = await get(attach(api, system))

    assert answer.status_code == 503
    assert answer.json() == {"detail": {"error": "StartError", "component": "cache"}}
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(("when", "code"), [(too_early, 1013), (too_late, 1012)])
async def test_websockets_are_refused(when: Any, code: int) -> None:
    """Try again later, or with somebody else, who does not go away."""
    call = Call(**WEBSOCKET)

    await when(lambda system: call(attach(pool_api(), system)))

    [close] = call.sent
    assert (close["type"], close["code"]) == ("websocket.close", code)
    assert close["reason"] in ("'database' is not ready", "'database' is closed")


async def test_the_answer_can_be_another_one() -> None:
    """An app may have its own form for errors; the cause is the error itself."""
    api = pool_api()
    causes: list[Any] = []

    @api.exception_handler(HTTPException)
    async def problem(request: Request, error: HTTPException) -> JSONResponse:
        causes.append(error.__cause__)
        return JSONResponse({"title": "not now"}, error.status_code, error.headers)

    async def call(system: System) -> None:
        answer = await get(attach(api, system))
        assert answer.json() == {"title": "not now"}

    await too_early(call)

    [cause] = causes
    assert str(cause).startswith("'database' is not ready: pending for")


async def test_what_is_no_part_of_the_system() -> None:
    """Is a mistake, and no 503."""
    with pytest.raises(UnknownComponentError, match="'database', and it is no part of this system"):
        await get_running(pool_api(), "/", registry=Registry("empty"))


async def test_without_a_system() -> None:
    """Likewise; the error says who could have brought one."""
    with pytest.raises(LookupError, match=r"call lifecycle.integrations.fastapi.attach\(app, sys"):
        await get(pool_api())
