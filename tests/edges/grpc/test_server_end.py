"""How a server of ``grpc.aio`` ends: what it finishes, what it refuses, and what it cuts off."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

import anyio
import grpc
import grpc.aio
import pytest

import lifecycle
from lifecycle import Lifetime, Limits, Outcome, Registry, Settings, events
from lifecycle.errors import CrashedError, DrainTimeoutError
from lifecycle.integrations import grpc as lifecycle_grpc
from tests.edges.grpc.kit import (
    MEGABYTES,
    ON_ASYNCIO,
    connected,
    is_refused,
    refusal_of,
    run,
    shop_of,
)
from tests.edges.grpc.line import Line
from tests.edges.grpc.services import DatabaseGoneError, Noticing, Orders, add_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from lifecycle import System

pytestmark = pytest.mark.anyio

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
SHUTTING_DOWN = (UNAVAILABLE, "the service is shutting down")
CUT_OFF = (UNAVAILABLE, "the service is shutting down, and the time for this call is over")


@pytest.fixture(params=ON_ASYNCIO.values(), ids=[*ON_ASYNCIO])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test wherever ``grpc.aio`` runs."""
    return request.param


def within(seconds: float, *, drain: float | None = None) -> Settings:
    """Give the server some time to stop, and perhaps to drain."""
    return Settings(limits={"web": Limits(stop=seconds, drain=drain)}, grace_period=90)


async def refused(channel: Any) -> tuple[grpc.StatusCode, str]:
    """Give what a new call is told."""
    return await refusal_of(channel.unary_unary("/shop.Orders/Get")(b""))


# --- drain ---------------------------------------------------------------------------------------


async def test_what_is_in_flight_is_finished() -> None:
    """Calls of every kind; meanwhile new ones are refused, on old connections and on new ones."""
    orders = Orders()
    shop, server = shop_of(orders)

    async def body(system: System) -> None:
        async with connected(server.target) as channel, connected(server.target) as other:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            ticks = channel.unary_stream("/shop.Orders/Ticks")(b"")
            count = channel.stream_unary("/shop.Orders/Count")()
            chat = channel.stream_stream("/shop.Orders/Chat")()
            await count.write(b"a piano")
            await chat.write(b"a piano")
            assert [await ticks.read(), await chat.read()] == [b"1", b"a piano"]
            await orders.has_said("slow", "ticks", "count", "chat")
            system.shut_down("deploy")
            await system.wait_draining()
            assert [await refused(channel), await refused(other)] == [SHUTTING_DOWN] * 2
            assert sorted(work.what for work in system.status().in_flight if work.component) == [
                "/shop.Orders/Chat",
                "/shop.Orders/Count",
                "/shop.Orders/Slow",
                "/shop.Orders/Ticks",
            ]
            orders.go_on.set()
            for stream in (count, chat):
                await stream.write(b"a harp")
                await stream.done_writing()
            assert [await slow, await count] == [b"slow", b"2"]
            assert [await ticks.read(), await ticks.read()] == [b"2", grpc.aio.EOF]
            assert [await chat.read(), await chat.read()] == [b"a harp", grpc.aio.EOF]

    report = await run(shop, body, Settings(drain_timeout=60, grace_period=90))

    assert report.outcome is Outcome.CLEAN
    assert await is_refused(server.port)


async def test_during_the_drain_delay_everything_is_served() -> None:
    """On new connections, too."""
    shop, server = shop_of(Orders())

    async def body(system: System) -> None:
        async with connected(server.target) as old, connected(server.target) as new:
            await old.unary_unary("/shop.Orders/Get")(b"")
            system.shut_down("deploy")
            for channel in (old, new):
                assert await channel.unary_unary("/shop.Orders/Get")(b"piano") == b"hello piano"
            system.signal(signal.SIGINT)  # which ends the delay

    report = await run(shop, body, Settings(drain_delay=60, grace_period=90))

    assert report.outcome is Outcome.CLEAN


async def test_who_is_refused_is_told_when_to_ask_again() -> None:
    """As clients that retry by gRPC's own rules understand it."""
    orders = Orders()
    shop, server = shop_of(orders)

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            system.shut_down("deploy")
            await system.wait_draining()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/shop.Orders/Get")(b"")
            orders.go_on.set()
            await slow
        assert [*caught.value.trailing_metadata()] == [("grpc-retry-pushback-ms", "1000")]

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_large_replies_at_the_moment_of_the_drain() -> None:
    """Not one is lost; a count that ends with the handler lost 24 of 160, in 7 of 8 runs."""
    orders = Orders()
    orders.reply = MEGABYTES
    shop, server = shop_of(orders)
    arrived = []

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            calls = [channel.unary_unary("/shop.Orders/Slow")(b"") for _ in range(20)]
            await orders.has_said(*["slow"] * len(calls))
            orders.go_on.set()
            system.shut_down("deploy")
            arrived.extend([await call for call in calls])

    report = await run(shop, body, within(40))

    assert report.outcome is Outcome.CLEAN
    assert [len(reply) for reply in arrived] == [len(MEGABYTES)] * 20


async def test_a_reply_on_a_slow_line() -> None:
    """A connection is closed when its client has all of it.

    One that is told to go away while the call runs is closed with the call, at once: on a line of 1
    MB/s every reply of 100 kB was lost so. Stopped without a grace, every reply of 1 MB was.
    """
    orders = Orders()
    orders.reply = MEGABYTES[:1_000_000]
    shop, server = shop_of(orders)
    line = Line(bytes_per_second=2_000_000)

    async def body(system: System) -> None:
        async with line.laid(server.port), connected(line.target) as channel:
            await channel.unary_unary("/shop.Orders/Get")(b"")
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            system.shut_down("deploy")
            await system.wait_draining()
            orders.go_on.set()
            await system.closed()
            assert len(await slow) == len(orders.reply)

    report = await run(shop, body, within(40))

    assert report.outcome is Outcome.CLEAN


async def test_a_client_that_reads_nothing_holds_nobody_up() -> None:
    """Its connection is dropped in half of the time to stop."""
    orders = Orders()
    shop, server = shop_of(orders)

    async def body(system: System) -> None:
        line = Line()
        async with line.laid(server.port), connected(line.target) as channel:
            await channel.unary_unary("/shop.Orders/Get")(b"")
            line.hold()
            system.shut_down("deploy")
            await system.closed()

    report = await run(shop, body, within(8))

    assert report.outcome is Outcome.CLEAN


# --- what is cut off -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["Endless", "Write"])
async def test_an_endless_stream_is_cut_off(method: str) -> None:
    """At the end of the time to drain; it unwinds, its client is told, and it is reported once."""
    orders = Orders()
    shop, server = shop_of(orders)
    heard = []

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            stream = channel.unary_stream(f"/shop.Orders/{method}")(b"")
            assert await stream.read() == b"1"
            await orders.has_said(method.lower())
            system.shut_down("deploy")
            heard.append(await refusal_of(stream.read()))

    report = await run(shop, body, within(40, drain=0.1))

    assert heard == [CUT_OFF]
    assert orders.log == [method.lower(), f"{method.lower()} has ended"]
    assert report.outcome is Outcome.INCOMPLETE
    assert [("web", f"/shop.Orders/{method}")] == [(w.component, w.what) for w in report.in_flight]
    assert [DrainTimeoutError] == [type(error) for error in report.errors]


async def test_a_call_without_an_answer_is_cut_off() -> None:
    """Its handler is cancelled, and its client told."""
    orders = Orders()
    shop, server = shop_of(orders)
    heard = []

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            system.shut_down("deploy")
            heard.append(await refusal_of(slow))

    report = await run(shop, body, within(40, drain=0.1))

    assert heard == [CUT_OFF]
    assert orders.log == ["slow", "slow has ended"]
    assert [("web", "/shop.Orders/Slow")] == [(w.component, w.what) for w in report.in_flight]
    assert [DrainTimeoutError] == [type(error) for error in report.errors]


async def test_a_call_that_never_says_what_it_wants_is_cut_off() -> None:
    """A client that begins a call, and sends no request, holds nobody up for ever."""
    interceptor = Noticing()
    shop, server = shop_of(Orders(), interceptors=[interceptor])

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            # For the server it is a call with a single request.
            call = channel.stream_unary("/shop.Orders/Get")()
            await interceptor.has_seen.wait()
            system.shut_down("deploy")
            await system.closed()
            assert (await refusal_of(call))[0] is UNAVAILABLE

    report = await run(shop, body, within(4, drain=0.1))

    assert [("web", "/shop.Orders/Get")] == [(w.component, w.what) for w in report.in_flight]


async def test_work_of_its_own_that_is_cut_off_with_a_call() -> None:
    """Both are named, and the client is told the same."""

    class Holding(Orders):
        async def slow(self, request: bytes, context: Any) -> bytes:
            with Lifetime.current().hold("a parcel"):
                return await super().slow(request, context)

    orders = Holding()
    shop, server = shop_of(orders)
    heard = []

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            system.shut_down("deploy")
            heard.append(await refusal_of(slow))

    report = await run(shop, body, within(40, drain=0.1))

    assert heard == [CUT_OFF]
    assert ["/shop.Orders/Slow", "a parcel"] == [work.what for work in report.in_flight]


async def test_a_second_interrupt_cuts_everything_off() -> None:
    """Calls are told as at any end of their time."""
    orders = Orders()
    shop, server = shop_of(orders)
    heard = []

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            system.signal(signal.SIGINT, ago=1)
            system.signal(signal.SIGINT)
            heard.append(await refusal_of(slow))

    report = await run(shop, body, Settings(drain_timeout=60, grace_period=90))

    assert heard == [CUT_OFF]
    assert report.outcome is Outcome.FORCED


async def test_an_answer_that_was_made_is_sent() -> None:
    """Although the time is over: what was done is done, and the client should know."""

    class Shielded(Orders):
        async def slow(self, request: bytes, context: Any) -> bytes:
            with anyio.CancelScope(shield=True):
                self.say("slow")
                await self.go_on.wait()
            return b"slow"

    orders = Shielded()
    shop, server = shop_of(orders)
    heard = []

    def observer(event: events.Event) -> None:
        if isinstance(event, events.WorkCancelled):
            orders.go_on.set()

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            system.shut_down("deploy")
            heard.append(await slow)

    report = await run(shop, body, within(40, drain=0.1), [observer])

    assert heard == [b"slow"]
    assert report.outcome is Outcome.INCOMPLETE


async def test_a_handler_that_cannot_be_stopped_holds_nobody_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server is abandoned with it, and both are named."""

    class Deaf(Orders):
        async def slow(self, request: bytes, context: Any) -> bytes:
            self.say("slow")
            while not self.go_on.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.go_on.wait()
            return b"deaf"

    orders = Deaf()
    shop, server = shop_of(orders)

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            system.shut_down("deploy")
            await system.closed()
            orders.go_on.set()
            assert (await refusal_of(slow))[0] is UNAVAILABLE

    report = await run(shop, body, within(0.6, drain=0.1))

    assert [("web", "stop")] == [(left.component, left.hook) for left in report.abandoned]
    assert [("web", "/shop.Orders/Slow")] == [(w.component, w.what) for w in report.in_flight]
    assert "calls that go on although they were aborted:\n'/shop.Orders/Slow'" in caplog.text


# --- other ways to end ---------------------------------------------------------------------------


async def test_a_call_that_its_client_gives_up() -> None:
    """It is in flight no longer, and the drain does not wait for it."""
    orders = Orders()
    shop, server = shop_of(orders)

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            system.shut_down("deploy")
            await system.wait_draining()
            slow.cancel()
            await system.closed()

    report = await run(shop, body, Settings(drain_timeout=60, grace_period=90))

    assert report.outcome is Outcome.CLEAN
    assert orders.log == ["slow", "slow has ended"]


async def test_a_call_that_fails() -> None:
    """Its client gets what gRPC makes of that, and it is in flight no longer."""

    class Failing(Orders):
        async def get(self, request: bytes, context: Any) -> bytes:
            if request == b"abort":
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such order")
            raise DatabaseGoneError

    shop, server = shop_of(Failing())

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            get = channel.unary_unary("/shop.Orders/Get")
            assert (grpc.StatusCode.INVALID_ARGUMENT, "no such order") == await refusal_of(
                get(b"abort")
            )
            assert (await refusal_of(get(b"")))[0] is grpc.StatusCode.UNKNOWN
            assert (await refusal_of(channel.unary_unary("/shop.Orders/No")(b"")))[0] is (
                grpc.StatusCode.UNIMPLEMENTED
            )

    assert (await run(shop, body)).outcome is Outcome.CLEAN


@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt(), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("how", ["in a task", "in a group", "in a thread"])
async def test_what_is_no_exception_ends_one_call(error: BaseException, how: str) -> None:
    """Its client is told, and the others are served: a `SystemExit` does not end the event loop."""

    async def get(request: bytes, context: Any) -> bytes:
        if how == "in a group":
            async with anyio.create_task_group():
                raise error
        raise error

    async def ticks(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"1"
        await get(request, context)

    def sync_get(request: bytes, context: Any) -> bytes:
        raise error

    def sync_ticks(request: bytes, context: Any) -> Iterator[bytes]:
        yield b"1"
        raise error

    orders = Orders()

    def register(server: grpc.aio.Server) -> None:
        orders.add(server)
        one, stream = (sync_get, sync_ticks) if how == "in a thread" else (get, ticks)
        methods = {"Get": ("unary", one), "Ticks": ("downstream", stream)}
        add_service(server, methods, "shop.Exits")

    shop = Registry("shop")
    server = lifecycle_grpc.server(register, address="127.0.0.1:0")
    shop.add(server, name="web")
    told = []

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            told.append(await refusal_of(channel.unary_unary("/shop.Exits/Get")(b"")))
            stream = channel.unary_stream("/shop.Exits/Ticks")(b"")
            assert await stream.read() == b"1"
            told.append(await refusal_of(stream.read()))
            orders.go_on.set()
            assert await slow == b"slow"

    report = await run(shop, body)

    assert [grpc.StatusCode.UNKNOWN] * 2 == [code for code, _ in told]
    assert all(f"a handler has raised {error!r}" in text for _, text in told if "group" not in how)
    assert (Outcome.CLEAN, 0) == (report.outcome, report.exit_code)


async def test_an_exit_of_an_interceptor_ends_one_call() -> None:
    """It is asked in a task of the call."""

    class Exiting(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            if handler_call_details.method == "/shop.Orders/Get":
                raise SystemExit(7)
            return await continuation(handler_call_details)

    shop, server = shop_of(Orders(), interceptors=[Exiting()])

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            assert (await refused(channel))[0] is grpc.StatusCode.UNKNOWN
            count = channel.stream_unary("/shop.Orders/Count")()
            await count.done_writing()
            assert await count == b"0"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_a_server_is_rolled_back() -> None:
    """Where something that comes after it does not start."""
    shop, server = shop_of(Orders())

    @shop.component(after=["web"])
    async def broken() -> None:
        raise DatabaseGoneError

    report = await run(shop)

    assert report.outcome is Outcome.START_FAILED
    assert await is_refused(server.port)


async def test_a_cancellation_from_outside_ends_it_in_order() -> None:
    """It asks for a shutdown, and cuts nothing off."""
    orders = Orders()
    shop, server = shop_of(orders)
    calls: list[Any] = []

    async def go_on(system: System) -> None:
        await system.wait_draining()
        orders.go_on.set()

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as outer:
            async with lifecycle.running(shop) as system:
                channel = connected(server.target)
                calls.append(channel.unary_unary("/shop.Orders/Slow")(b""))
                await orders.has_said("slow")
                tasks.start_soon(go_on, system)
                outer.cancel()
                await anyio.sleep_forever()

    assert [await call for call in calls] == [b"slow"]


async def test_a_server_that_ends_by_itself_has_crashed() -> None:
    """Somebody stops it behind the system's back."""
    given: list[grpc.aio.Server] = []

    class Taking(Orders):
        def add(self, server: grpc.aio.Server) -> None:
            super().add(server)
            given.append(server)

    shop, _ = shop_of(Taking())

    async def body(system: System) -> None:
        await given[0].stop(None)
        await system.closed()

    report = await run(shop, body)

    assert report.outcome is Outcome.CRASHED
    assert isinstance(report.errors[0], CrashedError)
    assert "gRPC's server has ended by itself" in str(report.errors[0])


async def test_without_a_system_calls_are_finished_too() -> None:
    """It is a context manager, and has all the time in the world."""
    orders = Orders()
    _, server = shop_of(orders)

    async with contextlib.AsyncExitStack() as stack:
        async with server:
            channel = await stack.enter_async_context(connected(server.target))
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            with pytest.raises(RuntimeError, match="runs already"):
                await server.__aenter__()
            orders.go_on.set()
        assert await slow == b"slow"
