"""How a server ends: what it finishes, what it refuses, and what it cuts off."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import uvicorn as real
from fastapi import FastAPI

import lifecycle
from lifecycle import Limits, Outcome, Registry, Report, Settings
from lifecycle.errors import CrashedError, DrainTimeoutError, StopError
from lifecycle.integrations._beside import beside
from tests.edges.uvicorn.kit import App, Client, Request, connected, is_refused, run, shop_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from lifecycle import System
    from lifecycle.integrations import uvicorn

pytestmark = pytest.mark.anyio


def stopping_within(seconds: float, *, drain: float | None = None) -> Settings:
    """Give the server some time to stop, and perhaps to drain."""
    return Settings(limits={"web": Limits(stop=seconds, drain=drain)})


class DatabaseGoneError(Exception):
    """What an app raises."""


# --- drain ---------------------------------------------------------------------------------------


async def test_what_is_in_flight_is_finished() -> None:
    """New connections are refused meanwhile, and idle ones closed."""
    app = App()
    shop, server = shop_of(app)

    async def body(system: System) -> None:
        async with connected(server) as idle, connected(server) as busy:
            assert b"connection: close" not in await idle.get("/")
            await busy.ask("/slow")
            await app.arrived.wait()
            system.shut_down("deploy")
            assert await idle.rest() == b""
            assert await is_refused(server)
            assert ["up", "/ has ended"] == app.log
            app.go_on.set()
            answer = await busy.rest()
            assert b"\r\nconnection: close\r\n" in answer
            assert answer.endswith(b"\r\n\r\nslow")

    report = await run(shop, body)

    assert report.outcome is Outcome.CLEAN
    assert app.log == ["up", "/ has ended", "/slow has ended", "down"]


async def test_during_the_drain_delay_everything_is_served() -> None:
    """On new connections, too; clients are asked to come back on others."""
    shop, server = shop_of(App())

    async def body(system: System) -> None:
        async with connected(server) as old:
            await old.get("/")
            system.shut_down("deploy")
            for client in (old, await stack.enter_async_context(connected(server))):
                answer = await client.get("/")
                assert b"\r\nconnection: close\r\n" in answer
                assert answer.endswith(b"hello")
                assert await client.rest() == b""

    async with contextlib.AsyncExitStack() as stack:
        report = await run(shop, body, Settings(drain_delay=0.5))

    assert report.outcome is Outcome.CLEAN


async def test_an_endless_stream_is_cut_off() -> None:
    """At the end of the time to drain; it unwinds before the app's lifespan is shut down."""
    app = App()
    shop, server = shop_of(app)
    heard = []

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/endless")
            await app.arrived.wait()
            system.shut_down("deploy")
            heard.append(await client.rest())

    report = await run(shop, body, stopping_within(5, drain=0.1))

    assert heard[0].endswith(b"data: 1\n\n\r\n0\r\n\r\n")
    assert app.log == ["up", "/endless has ended", "down"]
    assert report.outcome is Outcome.INCOMPLETE
    assert [("web", "GET /endless")] == [(work.component, work.what) for work in report.in_flight]
    assert [DrainTimeoutError] == [type(error) for error in report.errors]


async def test_a_call_without_an_answer_is_cut_off_with_a_503() -> None:
    """Its client hears of it, and the connection is closed."""
    app = App()
    shop, server = shop_of(app)
    heard = []

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/slow")
            await app.arrived.wait()
            system.shut_down("deploy")
            heard.append(await client.rest())

    report = await run(shop, body, stopping_within(5, drain=0.1))

    assert heard[0].startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in heard[0]
    assert report.outcome is Outcome.INCOMPLETE


# --- stop ----------------------------------------------------------------------------------------


class Deaf(App):
    """An app whose handler goes on whatever happens."""

    async def deaf(self, request: Request) -> None:
        """Answer when told to, even if cancelled by force."""
        self.arrived.set()
        while not self.go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.go_on.wait()
        await request.answer(b"deaf")


async def test_a_handler_that_shields_itself_is_cancelled_by_force() -> None:
    """In half of the time to stop, so that the app's lifespan can be shut down as well."""
    app = App()
    shop, server = shop_of(app)

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/stuck")
            await app.arrived.wait()
            system.shut_down("deploy")
            await system.closed()

    report = await run(shop, body, stopping_within(1, drain=0.1))

    assert app.log == ["up", "/stuck has ended", "down"]
    assert [DrainTimeoutError] == [type(error) for error in report.errors]


async def test_a_handler_that_cannot_be_stopped_holds_nobody_up() -> None:
    """The server is abandoned with it, and named."""
    app = Deaf()
    shop, server = shop_of(app)

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/deaf")
            await app.arrived.wait()
            system.shut_down("deploy")
            await system.closed()
            app.go_on.set()

    report = await run(shop, body, stopping_within(0.4, drain=0.1))

    assert [("web", "stop")] == [(left.component, left.hook) for left in report.abandoned]


async def test_by_force_too_handlers_end_before_the_lifespan() -> None:
    """What the app has opened is there for them until the end."""

    class Stubborn(App):
        async def stubborn(self, request: Request) -> None:
            self.arrived.set()
            with anyio.CancelScope(shield=True):
                # Only by force it ends, and not at once: not at half time, but at the deadline.
                for _ in range(2):
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.get_running_loop().create_future()
            await request.answer(b"")

        async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
            try:
                await super().lifespan(scope, receive, send)
            finally:
                self.say("lifespan has ended")

    app = Stubborn()
    shop, server = shop_of(app)

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/stubborn")
            await app.arrived.wait()
            system.shut_down("deploy")
            await system.closed()

    report = await run(shop, body, stopping_within(0.4, drain=0.1))

    assert app.log == ["up", "/stubborn has ended", "down", "lifespan has ended"]
    assert [DrainTimeoutError, StopError] == [type(error) for error in report.errors]
    assert report.abandoned == ()


async def test_a_client_that_does_not_read_holds_nobody_up() -> None:
    """Its connection is dropped in half of the time to stop, and the rest ends in order."""
    megabytes = b"x" * 20_000_000

    class Big(App):
        async def big(self, request: Request) -> None:
            self.arrived.set()
            await request.answer(megabytes)

    app = Big()
    shop, server = shop_of(app)

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/big")
            await app.arrived.wait()
            await app.has_said("/big has ended")
            system.shut_down("deploy")
            await system.closed()

    report = await run(shop, body, stopping_within(1))

    assert app.log == ["up", "/big has ended", "down"]
    assert report.outcome is Outcome.CLEAN


async def test_a_lifespan_that_fails_to_shut_down() -> None:
    """Its exception is that of the component's stop."""

    class Failing(App):
        async def shut_down(self) -> None:
            raise DatabaseGoneError

    shop, _ = shop_of(Failing())

    report = await run(shop)

    [error] = report.errors
    assert isinstance(error, StopError)
    assert isinstance(error.__cause__, DatabaseGoneError)


async def test_a_lifespan_that_only_says_that_it_failed_to_shut_down() -> None:
    """Then its words are all there is."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed"})

    shop, _ = shop_of(app)

    report = await run(shop)

    assert "lifespan.shutdown.failed: the app does not say why" in str(report.errors[0])


async def test_a_lifespan_that_never_shuts_down() -> None:
    """It is cancelled at the deadline of the stop, and unwinds."""

    class Hanging(App):
        async def shut_down(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                self.say("unwound")

    app = Hanging()
    shop, _ = shop_of(app)

    report = await run(shop, settings=stopping_within(0.5))

    assert app.log == ["up", "unwound"]
    [error] = report.errors
    assert isinstance(error, StopError)
    assert error.timeout is not None
    assert not error.abandoned


async def test_a_lifespan_that_has_ended_is_not_shut_down() -> None:
    """Some apps have nothing to do at the end."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    shop, _ = shop_of(app)

    assert (await run(shop)).outcome is Outcome.CLEAN


async def test_a_cancellation_from_outside_ends_it_in_order() -> None:
    """It asks for a shutdown, and cuts nothing off."""
    app = App()
    shop, server = shop_of(app)
    answers = []

    async def ask(client: Client) -> None:
        answers.append(await client.get("/slow"))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as outer:
            async with lifecycle.running(shop):
                client = await stack_of(tasks, server)
                tasks.start_soon(ask, client)
                await app.arrived.wait()
                tasks.start_soon(go_on_when_refused, app, server)
                outer.cancel()
                await anyio.sleep_forever()

    assert answers[0].endswith(b"slow")
    assert app.log == ["up", "/slow has ended", "down"]


async def stack_of(tasks: Any, server: uvicorn.Server) -> Client:
    """Connect, in a task that outlives the caller."""
    client: Client = await tasks.start(keep_connected, server)
    return client


async def keep_connected(server: uvicorn.Server, *, task_status: Any) -> None:
    """Keep a connection until the server is gone."""
    async with connected(server) as client:
        task_status.started(client)
        while not await is_refused(server):
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()


async def go_on_when_refused(app: App, server: uvicorn.Server) -> None:
    """Let a slow request end once nobody can connect any more."""
    while not await is_refused(server):
        await anyio.lowlevel.checkpoint()
    app.go_on.set()


# --- crashes -------------------------------------------------------------------------------------


async def test_a_crash_in_the_lifespan_is_one_of_the_component() -> None:
    """Servers go on after that as if nothing had happened; what is in flight is finished."""
    crash = anyio.Event()

    async def background() -> None:
        await crash.wait()
        raise DatabaseGoneError

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(background)
            yield

    api = FastAPI(lifespan=lifespan)
    arrived = anyio.Event()
    answers = []

    @api.get("/slow")
    async def slow() -> str:
        arrived.set()
        await crashed.wait()
        return "slow"

    crashed = anyio.Event()
    shop, server = shop_of(api)

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/slow")
            await arrived.wait()
            crash.set()
            with anyio.CancelScope(shield=True):
                await system.wait_draining()
                crashed.set()
                answers.append(await client.rest())

    report = await run_to_the_end(shop, body)

    assert report.outcome is Outcome.CRASHED
    assert isinstance(report.errors[0], CrashedError)
    assert isinstance(report.errors[0].__cause__, DatabaseGoneError)
    assert answers[0].endswith(b'"slow"')


@pytest.mark.parametrize(
    ("raised", "cause"),
    [
        (None, "uvicorn has ended by itself"),
        (SystemExit(3), "uvicorn gave up with exit code 3"),
        (OSError("no more files"), "no more files"),
    ],
    ids=["returns", "exits", "raises"],
)
async def test_a_server_that_ends_by_itself_has_crashed(
    raised: BaseException | None, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it would have torn down the event loop; the app's lifespan is shut down."""

    async def main_loop(server: real.Server) -> None:
        await running.wait()
        if raised is not None:
            raise raised

    running = anyio.Event()
    monkeypatch.setattr(real.Server, "main_loop", main_loop)
    app = App()
    shop, _ = shop_of(app)

    async def body(system: System) -> None:
        running.set()

    report = await run_to_the_end(shop, body)

    assert report.outcome is Outcome.CRASHED
    assert cause in str(report.errors[0].__cause__)
    assert app.log == ["up", "down"]


async def test_a_server_is_rolled_back() -> None:
    """Where something that comes after it does not start."""
    app = App()
    shop, server = shop_of(app)

    @shop.component(after=["web"])
    async def broken() -> None:
        raise DatabaseGoneError

    report = await run(shop)

    assert report.outcome is Outcome.START_FAILED
    assert app.log == ["up", "down"]
    assert await is_refused(server)


async def test_an_error_is_not_lost_in_a_cancellation() -> None:
    """Where both come, the task that runs beside is waited for, and the error is what leaves."""
    log = []

    async def run() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    async def fail() -> None:
        with anyio.CancelScope() as scope:
            async with beside(run, "beside"):
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
                raise DatabaseGoneError

    with pytest.raises(DatabaseGoneError):
        await fail()
    assert log == ["ended"]


async def run_to_the_end(shop: Registry, body: Callable[[System], Awaitable[object]]) -> Report:
    """Run a system until it ends by itself."""

    async def wait(system: System) -> None:
        await body(system)
        await system.closed()

    return await run(shop, wait)
