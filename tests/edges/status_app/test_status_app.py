"""What the probes say, from within an app that somebody else serves."""

from __future__ import annotations

import functools
import socket
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import hypercorn.asyncio
import hypercorn.trio
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

import lifecycle
from lifecycle import Registry
from lifecycle.asgi import InFlight
from lifecycle.integrations.fastapi import attach
from lifecycle.probes import asgi, status_app
from lifecycle.probes.responses import Response
from tests.edges.calls import WEBSOCKET, Call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from lifecycle import System
    from lifecycle.asgi import ASGIApp

pytestmark = pytest.mark.anyio

shop = Registry("shop")
PROBES = ["health", "healthz", "livez", "ready", "readyz", "startup", "startupz"]


@shop.component
async def database() -> AsyncIterator[str]:
    """Something to tell of."""
    yield "the database"


async def get(app: ASGIApp, path: str, **scope: Any) -> Call:
    """Call an app, and give the call, with what was answered."""
    call = Call(path=path, **scope)
    await call(app)
    return call


# --- what is answered ----------------------------------------------------------------------------


@pytest.mark.parametrize("probe", PROBES)
async def test_the_probes(probe: str) -> None:
    """They answer as the probe server does."""
    async with lifecycle.running(shop) as system:
        call = await get(status_app(system), f"/{probe}")

    code, answer = call.answer
    assert (code, answer["ok"], list(answer["components"])) == (200, True, ["database"])
    assert call.headers[b"lifecycle-phase"] == b"running"
    assert call.headers[b"content-type"] == b"application/json"
    assert int(call.headers[b"content-length"]) == len(call.sent[1]["body"])


async def test_the_status() -> None:
    """Of one component, or of all."""
    async with lifecycle.running(shop) as system:
        call = await get(status_app(system), "/status", query_string=b"component=database")

    code, answer = call.answer
    assert (code, answer["phase"], list(answer["components"])) == (200, "running", ["database"])


async def test_a_query_is_passed_on() -> None:
    """A name that no component has is a 404; whatever the bytes are, they have an answer."""
    async with lifecycle.running(shop) as system:
        calls = [
            await get(status_app(system), "/ready", query_string=query)
            for query in (b"component=databse", b"component=%ff\xff&&=%", b"")
        ]

    assert [404, 404, 200] == [call.answer[0] for call in calls]


async def test_the_method_counts() -> None:
    """HEAD is GET without a body; others are not for a probe."""
    async with lifecycle.running(shop) as system:
        app = status_app(system)
        of_get, of_head, of_post = [
            await get(app, "/ready", method=method) for method in ("GET", "HEAD", "POST")
        ]

    assert list(of_get.headers) == list(of_head.headers)
    assert int(of_head.headers[b"content-length"]) > 0
    assert [200, 200, 405] == [call.sent[0]["status"] for call in (of_get, of_head, of_post)]
    assert of_head.sent[1]["body"] == b""


async def test_nothing_else_is_there() -> None:
    """Which is said in words."""
    async with lifecycle.running(shop) as system:
        call = await get(status_app(system), "/orders")

    assert call.answer[0] == 404


async def test_it_is_not_ready_from_the_first_moment_of_a_shutdown() -> None:
    """And healthy, until the end."""
    found = []

    async with lifecycle.running(shop, lifecycle.Settings(drain_delay=5)) as system:
        system.shut_down("deploy")
        for path in ("/ready", "/health"):
            call = await get(status_app(system), path)
            found.append((call.answer[0], call.answer[1]["reason"]))

    assert [(503, "deploy"), (200, "deploy")] == found


async def test_what_is_no_request() -> None:
    """A websocket is refused; a server that serves nothing else may ask for the lifespan."""
    async with lifecycle.running(shop) as system:
        websocket = Call(**WEBSOCKET)
        await websocket(status_app(system))
        lifespan = Call(type="lifespan")
        await lifespan(status_app(system))

    assert [{"type": "websocket.close"}] == websocket.sent
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [
        message["type"] for message in lifespan.sent
    ]


# --- whose ---------------------------------------------------------------------------------------


async def test_the_system_is_that_of_the_call() -> None:
    """Unless another one is named."""
    async with (
        lifecycle.running(shop) as system,
        lifecycle.running(Registry("another")) as another,
    ):
        of_call = await get(InFlight(status_app(), system), "/status")
        of_other = await get(InFlight(status_app(another), system), "/status")

    assert ["shop", "another"] == [call.answer[1]["name"] for call in (of_call, of_other)]


async def test_without_a_system() -> None:
    """It says who could have brought one."""
    with pytest.raises(LookupError, match=r"'/ready'.*InFlight\(app, system\)"):
        await get(status_app(), "/ready")


# --- where it is mounted -------------------------------------------------------------------------


async def test_mounted_in_fastapi_and_starlette() -> None:
    """At any depth; the app around it knows the system."""
    inner = Starlette(routes=[Mount("/probes", status_app())])
    api = FastAPI()
    api.mount("/internal", inner)

    async with lifecycle.running(shop) as system:
        with attach(api, system):
            call = await get(api, "/internal/probes/readyz")

    assert call.answer[0] == 200


@pytest.mark.parametrize(
    ("path", "root_path", "code"),
    [
        ("/ready", "", 200),
        ("/api/ready", "/api", 200),
        ("/api/ready", "/api/", 200),
        ("/ready", "/api", 200),  # some leave the root out of the path
        ("/apiready", "/api", 404),
        ("/ready/", "", 200),
    ],
)
async def test_below_a_root_path(path: str, root_path: str, code: int) -> None:
    """As a proxy, a mount, or `--root-path` has it."""
    async with lifecycle.running(shop) as system:
        call = await get(status_app(system), path, root_path=root_path)

    assert call.answer[0] == code


# --- the live page -------------------------------------------------------------------------------


class Stream:
    """A stream in the place of that of the live page, which says what happens to it."""

    def __init__(self, *, ends: bool = False) -> None:
        self.log: list[str] = []
        self._ends = ends

    def response(self, system: System) -> Response:
        """What the probes would answer."""
        return Response(200, (("Content-Type", "text/event-stream"),), stream=self._pieces(system))

    def _pieces(self, system: System) -> Any:
        async def pieces() -> AsyncGenerator[bytes]:
            try:
                yield b"data: 1\n\n"
                if self._ends:
                    await system.wait_draining()
                    yield b"data: the last\n\n"
                    return
                await anyio.sleep_forever()
            finally:
                self.log.append("closed")

        return pieces


async def stream(
    monkeypatch: pytest.MonkeyPatch, stream: Stream, *, leaves: bool = False
) -> list[tuple[bytes, bool]]:
    """Have a stream open when the system drains, or when the client leaves; give what was sent."""

    async def respond(system: System, *_: Any) -> Response:
        return stream.response(system)

    monkeypatch.setattr(asgi, "respond", respond)

    class Viewer(Call):
        async def _receive(self) -> Any:
            if not leaves:
                await anyio.sleep_forever()
            await self.answering.wait()
            await anyio.wait_all_tasks_blocked()
            return {"type": "http.disconnect"}

    async with lifecycle.running(shop) as system:
        viewer = Viewer(path="/events")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(viewer, InFlight(status_app(), system))
            await viewer.answering.wait()
            await anyio.wait_all_tasks_blocked()
            if not leaves:
                system.shut_down("deploy")
        system.shut_down("deploy")
        assert (await system.closed()).outcome is lifecycle.Outcome.CLEAN
    return [(message["body"], message["more_body"]) for message in viewer.sent[1:]]


async def test_a_stream_does_not_keep_the_server_from_draining(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is ended, and looks complete: nothing is lost, and nothing cut off."""
    endless = Stream()

    assert [(b"data: 1\n\n", True), (b"", False)] == await stream(monkeypatch, endless)
    assert endless.log == ["closed"]


async def test_a_stream_that_ends_itself_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says at the drain is heard."""
    ends = Stream(ends=True)

    sent = await stream(monkeypatch, ends)

    assert sent == [(b"data: 1\n\n", True), (b"data: the last\n\n", True), (b"", False)]
    assert ends.log == ["closed"]


async def test_a_stream_ends_when_its_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told any more."""
    endless = Stream()

    assert [(b"data: 1\n\n", True)] == await stream(monkeypatch, endless, leaves=True)
    assert endless.log == ["closed"]


# --- on another server ---------------------------------------------------------------------------


async def test_on_hypercorn(anyio_backend_name: str) -> None:
    """On asyncio and trio; the app in which it is mounted has no system of its own."""
    api = FastAPI()
    api.mount("/internal", status_app())
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/internal"
    config = hypercorn.Config()
    config.bind = [f"fd://{listener.detach()}"]
    serve = {"asyncio": hypercorn.asyncio.serve, "trio": hypercorn.trio.serve}[anyio_backend_name]
    answers: list[Any] = []

    async with lifecycle.running(shop) as system:
        listening, enough = anyio.Event(), anyio.Event()

        async def until_enough() -> None:
            listening.set()
            await enough.wait()

        app: Any = InFlight(api, system)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(functools.partial(serve, app, config, shutdown_trigger=until_enough))
            await listening.wait()
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                answers += [
                    await client.get(f"{url}/{path}") for path in ("ready", "status", "nothing")
                ]
            enough.set()

    assert [200, 200, 404] == [answer.status_code for answer in answers]
    assert answers[0].json()["phase"] == "running"
