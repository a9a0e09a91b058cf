"""What `lifecycle.asgi` does to calls, without a server: messages in, messages out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import lifecycle
from lifecycle import Lifetime, Outcome, Registry, Report, Settings, System
from lifecycle.asgi import InFlight, NotReady, system_of
from lifecycle.errors import (
    ClosedError,
    CrashedError,
    DrainTimeoutError,
    NotReadyError,
    RunError,
    parts_of,
)
from lifecycle.states import State
from tests.edges.calls import WEBSOCKET, Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle.asgi import ASGIApp

pytestmark = pytest.mark.anyio

AT_ONCE = Settings(drain_timeout=0)
"""What is in flight is cut off as soon as the drain begins."""


@pytest.fixture(
    params=[("asyncio", {}), ("asyncio", {"use_uvloop": True}), ("trio", {})],
    ids=["asyncio", "uvloop", "trio"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test on every event loop."""
    return request.param


def start(content_type: bytes = b"text/plain", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """Begin a response."""
    type_header = (b"content-type", content_type)
    return {"type": "http.response.start", "status": 200, "headers": [type_header, *headers]}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    """Send some of its body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def ok(scope: Any, receive: Any, send: Any) -> None:
    """Answer at once."""
    await send(start())
    await send(body(b"ok"))


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """Never answer."""
    await anyio.sleep_forever()


async def shut_down(system: System) -> None:
    """Ask for it, and wait for the end."""
    system.shut_down("deploy")
    await system.closed()


async def cut_off(call: Call, app: ASGIApp, *, once_answering: bool = False) -> Report:
    """Have a call in flight when a system is shut down that does not wait for it."""

    async def run() -> None:
        async with lifecycle.running(Registry("shop"), AT_ONCE) as system, _tasks() as tasks:
            tasks.start_soon(call, InFlight(app, system))
            if once_answering:
                await call.answering.wait()
            await anyio.wait_all_tasks_blocked()
            await shut_down(system)

    with pytest.raises(DrainTimeoutError) as caught:
        await run()
    assert caught.value.report is not None
    assert caught.value.report.outcome is Outcome.INCOMPLETE
    return caught.value.report


def _tasks() -> Any:
    return anyio.create_task_group()


# --- counting ------------------------------------------------------------------------------------


async def test_calls_are_in_flight() -> None:
    """A call is work in flight from its beginning to its end, and the drain waits for it."""
    log = []
    go_on = anyio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await ok(scope, receive, send)
        log.append("answered")

    async with lifecycle.running(Registry("shop")) as system, _tasks() as tasks:
        call = Call(method="POST")
        tasks.start_soon(call, InFlight(slow, system))
        await anyio.wait_all_tasks_blocked()
        assert [work.what for work in system.status().in_flight if work.component is None] == [
            "POST /orders"
        ]
        system.shut_down("deploy")
        await system.wait_draining()
        go_on.set()
        await system.closed()
        log.append("closed")

    assert log == ["answered", "closed"]
    assert call.sent == [{**start(), "headers": call.sent[0]["headers"]}, body(b"ok")]
    assert system.report is not None
    assert system.report.outcome is Outcome.CLEAN


async def test_work_belongs_to_the_component_in_whose_context_it_runs() -> None:
    """That is the server, so that the server drains last; the system is known by the component."""
    shop = Registry("shop")
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.extend(scope["state"]["lifecycle"].status().in_flight)

    @shop.component
    async def web() -> AsyncIterator[None]:
        await Call()(InFlight(app))
        yield

    async with lifecycle.running(shop):
        pass

    assert [("web", "GET /orders")] == [(work.component, work.what) for work in found]


async def test_the_system_may_stand_in_the_state() -> None:
    """As it does under servers whose lifespan has put it there."""
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append((scope["state"], len(system.status().in_flight)))

    async with lifecycle.running(Registry("shop")) as system:
        before = len(system.status().in_flight)
        await Call(state={"lifecycle": system, "user": "me"})(InFlight(app))

    assert found == [({"lifecycle": system, "user": "me"}, before + 1)]


async def test_a_call_counts_once() -> None:
    """An app that was wrapped already may be wrapped again."""
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(len(system.status().in_flight))

    async with lifecycle.running(Registry("shop")) as system:
        before = len(system.status().in_flight)
        await Call()(InFlight(InFlight(app, system), system))

    assert [before + 1] == found


async def test_names_hold_no_secrets_and_no_line_breaks() -> None:
    """The query is left out, the path is as it was in the request line, and no novel."""
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(system.status().in_flight[-1].what)

    async with lifecycle.running(Registry("shop")) as system:
        await Call(path="/a b\n", query_string=b"token=s3cret")(InFlight(app, system))
        await Call(path="/" + "x" * 1000)(InFlight(app, system))
        await Call(**WEBSOCKET)(InFlight(app, system))

    assert found == ["GET /a%20b%0A", "GET /" + "x" * 195, "WEBSOCKET /chat"]


async def test_without_a_system_calls_go_through() -> None:
    """So does the lifespan, with one."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    alone, lifespan = Call(), Call(type="lifespan")
    await alone(InFlight(app))
    async with lifecycle.running(Registry("shop")) as system:
        await lifespan(InFlight(app, system))

    assert [scope for scope, _, _ in seen] == [alone.scope, lifespan.scope]
    assert [
        scope is call.scope for (scope, _, _), call in zip(seen, (alone, lifespan), strict=True)
    ]


async def test_errors_of_the_app_are_its_own() -> None:
    """What the app raises goes on to the server, even where it looks like ours."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ClosedError(None, "of another system")

    async with lifecycle.running(Registry("shop")) as system:
        with pytest.raises(ClosedError, match="of another system"):
            await Call()(InFlight(broken, system))


# --- the end of connections ----------------------------------------------------------------------


@pytest.mark.parametrize("by", ["system", "component"])
async def test_connections_are_closed_from_the_request_on(by: str) -> None:
    """During the drain delay everything is served, and clients are sent to another connection."""
    shop = Registry("shop")

    @shop.service
    async def web(life: Lifetime[Lifetime[Any]]) -> None:
        life.started(life)
        await life.wait_draining()

    async with lifecycle.running(shop, Settings(drain_delay=5)) as system:
        app = InFlight(ok, system if by == "system" else system[web])
        before, during = Call(), Call()
        await before(app)
        system.shut_down("deploy")
        await during(app)
        assert not system.draining

    assert [None, b"close"] == [call.headers.get(b"connection") for call in (before, during)]
    assert during.sent[1:] == [body(b"ok")]


async def test_what_the_app_says_of_the_connection_is_replaced() -> None:
    """Two headers that contradict each other would help nobody."""

    async def keeps(scope: Any, receive: Any, send: Any) -> None:
        await send(start(b"text/plain", (b"Connection", b"keep-alive"), (b"x", b"y")))
        await send(body())

    async with lifecycle.running(Registry("shop"), Settings(drain_delay=5)) as system:
        call = Call()
        system.shut_down("deploy")
        await call(InFlight(keeps, system))

    headers = [(b"content-type", b"text/plain"), (b"x", b"y"), (b"connection", b"close")]
    assert headers == call.sent[0]["headers"]


async def test_http2_has_no_connection_header() -> None:
    """There the server says that it goes away."""
    async with lifecycle.running(Registry("shop"), Settings(drain_delay=5)) as system:
        call = Call(http_version="2")
        system.shut_down("deploy")
        await call(InFlight(ok, system))

    assert [start(), body(b"ok")] == call.sent


# --- the end of the time -------------------------------------------------------------------------


async def test_a_call_without_an_answer_is_cut_off_with_a_503() -> None:
    """Its client is told to ask again, elsewhere."""
    call = Call()

    report = await cut_off(call, endless)

    reason = "the service is shutting down, and the time for this call is over"
    assert call.answer == (503, {"error": reason})
    assert (b"1", b"close") == (call.headers[b"retry-after"], call.headers[b"connection"])
    assert [work.what for work in report.in_flight] == ["GET /orders"]


async def test_an_event_stream_that_is_cut_off_ends() -> None:
    """Its end is no loss: clients come back by themselves."""

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send(start(b"text/event-stream; charset=utf-8"))
        await send(body(b"data: 1\n\n", more=True))
        await anyio.sleep_forever()

    call = Call()

    await cut_off(call, stream, once_answering=True)

    assert [body(b"data: 1\n\n", more=True), body()] == call.sent[1:]


async def test_any_other_response_that_is_cut_off_must_not_look_complete() -> None:
    """Its body has no end, so that the server closes the connection, and the client notices."""

    async def download(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"the first half", more=True))
        await anyio.sleep_forever()

    call = Call()

    await cut_off(call, download, once_answering=True)

    assert [body(b"the first half", more=True)] == call.sent[1:]


async def test_a_complete_response_is_left_alone() -> None:
    """What was cut off was something behind it, such as a background task."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(b"text/event-stream"))
        await send(body(b"ok"))
        await anyio.sleep_forever()

    call = Call()

    await cut_off(call, app, once_answering=True)

    assert [start(b"text/event-stream"), body(b"ok")] == call.sent


@pytest.mark.parametrize("tasks_of_its_own", [0, 1, 2])
async def test_work_of_the_app_s_own_that_is_cut_off_is_no_traceback_either(
    tasks_of_its_own: int,
) -> None:
    """A route may hold work itself; that is cut off in the same moment, in whatever task it is.

    A middleware may be what calls it in another task, as Starlette's `BaseHTTPMiddleware` does.
    """

    async def work(system: System) -> None:
        with system.hold("invoice"):
            await anyio.sleep_forever()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        system = scope["state"]["lifecycle"]
        if not tasks_of_its_own:
            await work(system)
        async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
            for number in range(tasks_of_its_own):
                (inner if number else outer).start_soon(work, system)

    call = Call()

    await cut_off(call, app)

    assert call.answer[0] == 503


async def test_an_error_beside_work_that_is_cut_off_is_the_app_s() -> None:
    """The server is told of it, as of any other."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def work() -> None:
            try:
                with scope["state"]["lifecycle"].hold("invoice"):
                    await anyio.sleep_forever()
            finally:
                message = "the printer is on fire"
                raise OSError(message)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            with scope["state"]["lifecycle"].hold("receipt"):
                await anyio.sleep_forever()

    errors: list[Exception] = []

    class Served(Call):
        async def __call__(self, app: ASGIApp) -> None:
            try:
                await super().__call__(app)
            except Exception as error:  # noqa: BLE001  as servers do
                errors.append(error)

    call = Served()

    await cut_off(call, app)

    assert [] == call.sent
    (error,) = errors
    assert [OSError] == [type(part) for part in parts_of(error) if isinstance(part, OSError)]


@pytest.mark.parametrize(
    ("extensions", "answer"),
    [
        ({"websocket.http.response": {}}, ["websocket.http.response.start", 503]),
        (None, ["websocket.close", 1012]),
    ],
)
async def test_a_websocket_that_was_not_accepted_is_refused(
    extensions: Any, answer: list[Any]
) -> None:
    """By a 503 where the server can send one."""
    call = Call(**WEBSOCKET, extensions=extensions)

    await cut_off(call, endless)

    message = call.sent[0]
    assert answer == [message["type"], message.get("status", message.get("code"))]


async def test_a_websocket_that_is_cut_off_is_closed() -> None:
    """With the code for a server that goes away."""

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await anyio.sleep_forever()

    call = Call(**WEBSOCKET)

    await cut_off(call, chat, once_answering=True)

    assert [("websocket.accept", None), ("websocket.close", 1012)] == [
        (message["type"], message.get("code")) for message in call.sent
    ]


@pytest.mark.parametrize("by", ["app", "client"])
async def test_a_websocket_that_is_closed_is_left_alone(by: str) -> None:
    """Whoever has closed it."""

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        if by == "client":
            await receive()
        else:
            await send({"type": "websocket.close", "code": 1000})
        await anyio.sleep_forever()

    class Leaving(Call):
        async def _receive(self) -> Any:
            return {"type": "websocket.disconnect", "code": 1001}

    call = Leaving(**WEBSOCKET)

    await cut_off(call, chat, once_answering=True)

    assert {"client": 1, "app": 2}[by] == len(call.sent)


async def test_a_stream_can_end_itself() -> None:
    """With the system of the request, in time, and so without a loss."""

    async def forever() -> AsyncIterator[int]:
        yield 1
        await anyio.sleep_forever()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send(start(b"text/event-stream"))
        async for number in scope["state"]["lifecycle"].until_draining(forever()):
            await send(body(b"%d" % number, more=True))
        await send(body(b"bye"))

    call = Call()
    async with lifecycle.running(Registry("shop")) as system, _tasks() as tasks:
        tasks.start_soon(call, InFlight(stream, system))
        await call.answering.wait()
        await anyio.wait_all_tasks_blocked()
        await shut_down(system)

    assert [b"1", b"bye"] == [message["body"] for message in call.sent[1:]]
    assert system.report is not None
    assert system.report.outcome is Outcome.CLEAN


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_call_that_comes_too_late_is_refused(kind: str) -> None:
    """When no work is taken any more the app is not even asked."""
    shop, asked = Registry("shop"), []
    call = Call(type=kind, extensions={"websocket.http.response": {}})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope)

    @shop.component
    async def database(life: Lifetime) -> AsyncIterator[None]:
        yield
        await call(InFlight(app, life))

    async with lifecycle.running(shop):
        pass

    assert call.answer == (503, {"error": "the service is shutting down"})
    assert (call.headers.get(b"connection"), asked) == (b"close" if kind == "http" else None, [])


# --- too early -----------------------------------------------------------------------------------


async def test_not_ready_names_the_component() -> None:
    """It says when to ask again, and nothing else of the error."""
    call = Call()

    await call(NotReady(NotReadyError("database", State.STARTING, 3.0, ("secret",)), retry_after=7))

    assert call.answer == (503, {"error": "NotReadyError", "component": "database"})
    assert call.headers[b"retry-after"] == b"7"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (NotReadyError("database", State.STARTING, 3.0), {b"retry-after": b"1"}),
        (CrashedError("database", "secret"), {b"retry-after": b"1"}),
        (ClosedError("database"), {b"retry-after": b"1", b"connection": b"close"}),
        (ClosedError(None, "secret"), {b"retry-after": b"1", b"connection": b"close"}),
    ],
)
async def test_whoever_has_closed_is_not_asked_again(
    error: RunError, headers: dict[bytes, bytes]
) -> None:
    """On another connection, that is; whatever has happened, no more of it gets out."""
    call = Call()

    await call(NotReady(error))

    component = getattr(error, "component", None)
    assert call.answer == (503, {"error": type(error).__name__, "component": component})
    about_the_body = (b"content-type", b"content-length")
    assert headers == {n: v for n, v in call.headers.items() if n not in about_the_body}


async def test_http2_connections_are_not_closed_by_a_header() -> None:
    """There a header for that is an error."""
    call = Call(http_version="2")

    await call(NotReady(ClosedError("database")))

    assert b"connection" not in call.headers


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (NotReadyError("database", State.STARTING, 3.0), 1013, "'database' is not ready"),
        (ClosedError("database"), 1012, "'database' is closed"),
        (ClosedError(None), 1012, "the service is closed"),
        (CrashedError("d\u00e4" * 50), 1013, "'" + "d\u00e4" * 40 + "d"),
    ],
)
async def test_not_ready_refuses_websockets(error: RunError, code: int, reason: str) -> None:
    """Before they are accepted; the protocol has room for a short reason."""
    call = Call(**WEBSOCKET)

    await call(NotReady(error))

    assert [{"type": "websocket.close", "code": code, "reason": reason}] == call.sent


@pytest.mark.parametrize("code", [1012, 1013])
async def test_a_refusal_of_the_app_that_says_come_back_is_a_503(code: int) -> None:
    """What a server makes of it by itself is a 403, which says that coming back is of no use."""

    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": code, "reason": "'chats' is not ready"})

    async with lifecycle.running(Registry("shop")) as system:
        able = Call(**WEBSOCKET, extensions={"websocket.http.response": {}})
        await able(InFlight(refuses, system))
        unable = Call(**WEBSOCKET)
        await unable(InFlight(refuses, system))

    assert able.answer == (503, {"error": "'chats' is not ready"})
    assert able.headers[b"retry-after"] == b"1"
    assert [code] == [message["code"] for message in unable.sent]


async def test_other_refusals_of_the_app_are_its_own() -> None:
    """Whoever is not allowed in need not come back, and what was accepted is just closed."""
    closes = [{"type": "websocket.close", "code": code} for code in (1008, 1013)]

    async def forbids(scope: Any, receive: Any, send: Any) -> None:
        await send(closes[0])

    async def accepts(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send(closes[1])

    async with lifecycle.running(Registry("shop")) as system:
        forbidden = Call(**WEBSOCKET, extensions={"websocket.http.response": {}})
        await forbidden(InFlight(forbids, system))
        accepted = Call(**WEBSOCKET, extensions={"websocket.http.response": {}})
        await accepted(InFlight(accepts, system))

    assert closes == [forbidden.sent[-1], accepted.sent[-1]]


async def test_the_system_of_a_call() -> None:
    """Stands in its scope; where it does not, the error says who could have put it there."""
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(system_of(scope))

    async with lifecycle.running(Registry("shop")) as system:
        await Call()(InFlight(app, system))

    assert found == [system]
    with pytest.raises(LookupError, match=r"no system .* '/orders': .*InFlight\(app, system\)"):
        await Call()(app)


@pytest.mark.parametrize("gone", [None, OSError("gone"), RuntimeError("unexpected message")])
async def test_the_server_is_told_nothing_of_a_call_that_is_cut_off(gone: Exception | None) -> None:
    """It would log a traceback. A client that is gone is no error either: servers differ in how."""
    ended = []

    class Served(Call):
        async def __call__(self, app: ASGIApp) -> None:
            await super().__call__(app)
            ended.append("without an error")

        async def _send(self, message: Any) -> None:
            await super()._send(message)
            if gone is not None:
                raise gone

    await cut_off(Served(), endless)

    assert ended == ["without an error"]
