"""A synchronous server, on every event loop."""

from __future__ import annotations

import functools
import socket
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import grpc
import pytest

from lifecycle import Lifetime, Limits, Outcome, Registry, Settings
from lifecycle.errors import DrainTimeoutError, SettingsError, StartTimeoutError
from lifecycle.integrations import grpc as lifecycle_grpc
from tests.edges.grpc.kit import (
    MEGABYTES,
    SERVING,
    Health,
    Watch,
    in_thread,
    is_refused,
    run,
    shop_of,
    sync_connected,
    sync_refusal_of,
)
from tests.edges.grpc.line import Line
from tests.edges.grpc.services import GENEROUS, DatabaseGoneError, SyncOrders, add_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle import System

pytestmark = pytest.mark.anyio

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
SHUTTING_DOWN = (UNAVAILABLE, "the service is shutting down")


def within(seconds: float, *, drain: float | None = None) -> Settings:
    """Give the server some time to stop, and perhaps to drain."""
    return Settings(limits={"web": Limits(stop=seconds, drain=drain)}, grace_period=90)


async def greeting(channel: Any) -> tuple[grpc.StatusCode, str]:
    """Call a service, and give what becomes of that."""
    call = functools.partial(channel.unary_unary("/shop.Orders/Get"), b"")
    return await in_thread(sync_refusal_of, call)  # type: ignore[no-any-return]


class Sending:
    """What a client sends, as slowly as it likes."""

    def __init__(self) -> None:
        self._more = threading.Semaphore(0)
        self._messages: list[bytes | None] = []

    def send(self, message: bytes | None) -> None:
        """Send something; None: that was all."""
        self._messages.append(message)
        self._more.release()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self._more.acquire()
            message = self._messages.pop(0)
            if message is None:
                return
            yield message


# --- start ---------------------------------------------------------------------------------------


async def test_it_serves_from_its_start_to_its_drain() -> None:
    """Its port is known, and free again afterwards; no thread of it is left."""
    shop, server = shop_of(SyncOrders())
    assert repr(server) == "<grpc.SyncServer at 127.0.0.1:0>"

    async def body(system: System) -> None:
        assert server.target == f"127.0.0.1:{server.port}"
        with sync_connected(server.target) as channel:
            assert await in_thread(channel.unary_unary("/shop.Orders/Get"), b"you") == b"hello you"

    assert (await run(shop, body)).outcome is Outcome.CLEAN
    assert await is_refused(server.port)
    assert not [one.name for one in threading.enumerate() if one.name.startswith("lifecycle grpc")]


async def test_a_port_that_is_taken() -> None:
    """The cause says which, and why; once it is free, all is well."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        shop, _ = shop_of(SyncOrders(), address=f"127.0.0.1:{port}")

        report = await run(shop)
    again = await run(shop)

    assert (report.outcome, again.outcome) == (Outcome.START_FAILED, Outcome.CLEAN)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in str(report.errors[0])


async def test_servicers_that_cannot_be_added() -> None:
    """Their exception is the cause, and a port that was taken on the way is free again."""
    ports = []

    def register(server: grpc.Server) -> None:
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        raise DatabaseGoneError

    shop = Registry("shop")
    shop.add(lifecycle_grpc.sync_server(register, address="127.0.0.1:0"), name="web")

    report = await run(shop)

    assert isinstance(report.errors[0].__cause__, DatabaseGoneError)
    assert await is_refused(ports[0])


async def test_servicers_that_are_never_added() -> None:
    """It is cancelled at the deadline of the start, and leaves nothing."""

    async def register(server: grpc.Server) -> None:
        await anyio.sleep_forever()

    shop = Registry("shop")
    shop.add(lifecycle_grpc.sync_server(register, address="127.0.0.1:0"), name="web")

    report = await run(shop, settings=Settings(limits={"web": Limits(start=0.05)}))

    assert [StartTimeoutError] == [type(error) for error in report.errors]


async def test_calls_are_refused_until_the_system_has_started() -> None:
    """They are told for whom it waits; interceptors of the user's see nothing of them."""
    seen: list[str] = []

    class Noticing(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            seen.append(handler_call_details.method)
            return continuation(handler_call_details)

    shop, server = shop_of(SyncOrders(), interceptors=[Noticing()])
    told = []

    @shop.service(after=["web"])
    async def consumer(life: Lifetime) -> None:
        with sync_connected(server.target) as channel:
            told.append(await greeting(channel))
        life.started()
        await life.wait_draining()

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            told.append(await greeting(channel))

    assert (await run(shop, body)).outcome is Outcome.CLEAN
    assert told == [
        (UNAVAILABLE, "the service is starting, and waits for 'consumer'"),
        (grpc.StatusCode.OK, ""),
    ]
    assert seen == ["/shop.Orders/Get"]


async def test_its_services_serve_when_the_system_is_ready() -> None:
    """By their full names, as the protocol suggests."""
    shop, server = shop_of(SyncOrders())

    async def body(system: System) -> None:
        assert await Health(server.target).check("shop.Orders") == SERVING

    assert (await run(shop, body)).outcome is Outcome.CLEAN


@pytest.mark.rule("P4")
async def test_health_needs_no_worker() -> None:
    """It answers while all are busy, and those who watch take up none."""
    orders = SyncOrders()
    shop, server = shop_of(orders, workers=1)
    told = []

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            watches = [Watch(channel, "") for _ in range(9)]
            told.extend([await watch.next() for watch in watches])
            slow = channel.unary_unary("/shop.Orders/Slow").future(b"")
            await orders.has_said("slow")
            told.append(await Health(server.target).check())
            orders.go_on.set()
            assert await in_thread(slow.result) == b"slow"

    assert (await run(shop, body)).outcome is Outcome.CLEAN
    assert told == [SERVING] * 10


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"wrokers": 3}, TypeError, "unexpected keyword argument 'wrokers'"),
        ({"thread_pool": None}, TypeError, "say how many `workers` there are"),
        ({"workers": 0}, SettingsError, "workers is 0, but must be at least 1"),
    ],
)
def test_what_cannot_be_said(options: Any, error: type[Exception], words: str) -> None:
    """It is found when the server is made."""
    with pytest.raises(error, match=words):
        lifecycle_grpc.sync_server(lambda _: None, address=":0", **options)


# --- end -----------------------------------------------------------------------------------------


async def test_what_is_in_flight_is_finished() -> None:
    """Calls of every kind; meanwhile new ones are refused, also while all workers are busy."""
    orders = SyncOrders()
    shop, server = shop_of(orders, workers=4)

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel, sync_connected(server.target) as other:
            slow = channel.unary_unary("/shop.Orders/Slow").future(b"")
            ticks = channel.unary_stream("/shop.Orders/Ticks")(b"")
            counted, said = Sending(), Sending()
            count = channel.stream_unary("/shop.Orders/Count").future(iter(counted))
            chat = channel.stream_stream("/shop.Orders/Chat")(iter(said))
            for sending in (counted, said):
                sending.send(b"a piano")
            assert [await in_thread(next, ticks), await in_thread(next, chat)] == [b"1", b"a piano"]
            await orders.has_said("slow", "ticks", "count", "chat")
            system.shut_down("deploy")
            await system.wait_draining()
            assert [await greeting(channel), await greeting(other)] == [SHUTTING_DOWN] * 2
            assert sorted(work.what for work in system.status().in_flight if work.component) == [
                "/shop.Orders/Chat",
                "/shop.Orders/Count",
                "/shop.Orders/Slow",
                "/shop.Orders/Ticks",
            ]
            orders.go_on.set()
            for sending in (counted, said):
                sending.send(b"a harp")
                sending.send(None)
            assert await in_thread(slow.result) == b"slow"
            assert await in_thread(count.result) == b"2"
            assert await in_thread(list, ticks) == [b"2"]
            assert await in_thread(list, chat) == [b"a harp"]

    report = await run(shop, body, Settings(drain_timeout=60, grace_period=90))

    assert report.outcome is Outcome.CLEAN


async def test_a_call_that_waits_for_a_worker_is_refused() -> None:
    """It has not begun when the drain does: it is safe to ask somebody else."""
    orders = SyncOrders()
    shop, server = shop_of(orders, workers=1)

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow").future(b"1")
            await orders.has_said("slow")
            # gRPC takes calls in the order in which they came: this one is there with the next.
            waiting = channel.unary_unary("/shop.Orders/Slow").future(b"2")
            await Health(server.target).check()
            await _is_queued(channel)
            system.shut_down("deploy")
            await system.wait_draining()
            orders.go_on.set()
            assert await in_thread(slow.result) == b"slow"
            assert await in_thread(sync_refusal_of, waiting.result) == SHUTTING_DOWN

    report = await run(shop, body)

    assert report.outcome is Outcome.CLEAN
    assert orders.log == ["slow", "slow has ended"]


async def _is_queued(channel: Any) -> None:
    """Go the same way once more, past the workers: what was asked before has arrived."""
    await Watch(channel, "").next()


async def test_large_replies_at_the_moment_of_the_drain() -> None:
    """Not one is lost."""
    orders = SyncOrders()
    orders.reply = MEGABYTES
    shop, server = shop_of(orders, workers=20)
    arrived = []

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            calls = [channel.unary_unary("/shop.Orders/Slow").future(b"") for _ in range(20)]
            await orders.has_said(*["slow"] * len(calls))
            orders.go_on.set()
            system.shut_down("deploy")
            arrived.extend([await in_thread(call.result) for call in calls])

    report = await run(shop, body, within(40))

    assert report.outcome is Outcome.CLEAN
    assert [len(reply) for reply in arrived] == [len(MEGABYTES)] * 20


async def test_a_reply_on_a_slow_line() -> None:
    """A connection is closed when its client has all of it."""
    orders = SyncOrders()
    orders.reply = MEGABYTES[:1_000_000]
    shop, server = shop_of(orders)
    line = Line(bytes_per_second=2_000_000)

    async def body(system: System) -> None:
        async with line.laid(server.port):
            with sync_connected(line.target) as channel:
                await greeting(channel)
                slow = channel.unary_unary("/shop.Orders/Slow").future(b"")
                await orders.has_said("slow")
                system.shut_down("deploy")
                await system.wait_draining()
                orders.go_on.set()
                await system.closed()
                assert len(await in_thread(slow.result)) == len(orders.reply)

    assert (await run(shop, body, within(40))).outcome is Outcome.CLEAN


async def test_a_client_that_reads_nothing_holds_nobody_up() -> None:
    """Its connection is dropped in half of the time to stop."""
    shop, server = shop_of(SyncOrders())
    line = Line()

    async def body(system: System) -> None:
        async with line.laid(server.port):
            with sync_connected(line.target) as channel:
                await greeting(channel)
                line.hold()
                system.shut_down("deploy")
                await system.closed()

    assert (await run(shop, body, within(8))).outcome is Outcome.CLEAN


async def test_what_is_left_is_told() -> None:
    """At the end of the time to drain; a handler that looks ends then, and is reported once."""
    orders = SyncOrders()
    shop, server = shop_of(orders)
    heard = []

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            stream = channel.unary_stream("/shop.Orders/Endless")(b"")
            assert await in_thread(next, stream) == b"1"
            await orders.has_said("endless")
            system.shut_down("deploy")
            heard.append((await in_thread(sync_refusal_of, lambda: next(stream)))[0])

    report = await run(shop, body, within(40, drain=0.1))

    assert heard == [UNAVAILABLE]
    assert orders.log == ["endless", "endless has ended"]
    assert [("web", "/shop.Orders/Endless")] == [(w.component, w.what) for w in report.in_flight]
    assert [DrainTimeoutError] == [type(error) for error in report.errors]
    assert report.abandoned == ()


async def test_a_thread_that_goes_on_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """The server is abandoned with it; the call is named, and where its thread is."""
    orders = SyncOrders()
    shop, server = shop_of(orders)

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow").future(b"")
            await orders.has_said("slow")
            system.shut_down("deploy")
            await system.closed()
            assert (await in_thread(sync_refusal_of, slow.result))[0] is UNAVAILABLE
            orders.go_on.set()

    report = await run(shop, body, within(2, drain=0.1))

    assert [("web", "stop")] == [(left.component, left.hook) for left in report.abandoned]
    assert [("web", "/shop.Orders/Slow")] == [(w.component, w.what) for w in report.in_flight]
    assert "'/shop.Orders/Slow' in its thread, at\n" in caplog.text
    assert "in slow\n    assert self.go_on.wait(GENEROUS)" in caplog.text


async def test_a_call_that_its_client_gives_up() -> None:
    """Its thread is waited for all the same: it may be in the middle of something."""
    orders = SyncOrders()
    shop, server = shop_of(orders)

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow").future(b"")
            await orders.has_said("slow")
            slow.cancel()
            system.shut_down("deploy")
            await system.wait_draining()
            assert ["/shop.Orders/Slow"] == [
                work.what for work in system.status().in_flight if work.component
            ]
            orders.go_on.set()

    report = await run(shop, body, Settings(drain_timeout=60, grace_period=90))

    assert report.outcome is Outcome.CLEAN
    assert orders.log == ["slow", "slow has ended"]


async def test_a_call_that_fails() -> None:
    """Its client gets what gRPC makes of that, and it is in flight no longer."""

    def fail(request: bytes, context: Any) -> bytes:
        if request == b"abort":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such order")
        raise DatabaseGoneError

    def fail_later(request: bytes, context: Any) -> Iterator[bytes]:
        yield b"1"
        raise DatabaseGoneError

    def register(server: grpc.Server) -> None:
        add_service(server, {"Fail": ("unary", fail), "Later": ("downstream", fail_later)})

    shop = Registry("shop")
    server = lifecycle_grpc.sync_server(register, address="127.0.0.1:0")
    shop.add(server, name="web")
    told = []

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            calls = (
                functools.partial(channel.unary_unary("/shop.Orders/Fail"), b"abort"),
                functools.partial(channel.unary_unary("/shop.Orders/Fail"), b""),
                lambda: list(channel.unary_stream("/shop.Orders/Later")(b"")),
                functools.partial(channel.unary_unary("/shop.Orders/No"), b""),
            )
            told.extend([(await in_thread(sync_refusal_of, call))[0] for call in calls])

    assert (await run(shop, body)).outcome is Outcome.CLEAN
    assert told == [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNIMPLEMENTED,
    ]


@pytest.mark.rule("K3")
async def test_handlers_see_what_the_start_has_set() -> None:
    """The current `Lifetime`, and context variables; what an interceptor has set counts more."""
    tenant, trace = ContextVar("tenant", default="nobody"), ContextVar("trace", default="none")

    class Tracing(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            trace.set("of this call")
            return continuation(handler_call_details)

    def look(request: bytes, context: Any) -> bytes:
        # It is a thread, in which an event loop may be run.
        name = anyio.run(_name_of_current)
        with Lifetime.current().hold("a parcel"):
            return f"{name} {tenant.get()} {trace.get()}".encode()

    def ticks(request: bytes, context: Any) -> Iterator[bytes]:
        yield look(request, context)
        trace.set("of this step")
        yield look(request, context)

    def register(server: grpc.Server) -> None:
        tenant.set("a shop")
        trace.set("of the start")
        add_service(server, {"Get": ("unary", look), "Ticks": ("downstream", ticks)})

    shop = Registry("shop")
    server = lifecycle_grpc.sync_server(register, address="127.0.0.1:0", interceptors=[Tracing()])
    shop.add(server, name="web")
    told = []

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            told.append(await in_thread(channel.unary_unary("/shop.Orders/Get"), b""))
            told.extend(await in_thread(list, channel.unary_stream("/shop.Orders/Ticks")(b"")))

    assert (await run(shop, body)).outcome is Outcome.CLEAN
    assert told == [
        b"web a shop of this call",
        b"web a shop of this call",
        b"web a shop of this step",
    ]


async def _name_of_current() -> str:
    return Lifetime.current().name


@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt(), GeneratorExit()], ids=repr)
async def test_what_is_no_exception_ends_one_call(error: BaseException) -> None:
    """Its client is told, and it is in flight no longer."""

    def get(request: bytes, context: Any) -> bytes:
        raise error

    def ticks(request: bytes, context: Any) -> Iterator[bytes]:
        yield b"1"
        raise error

    methods = {"Get": ("unary", get), "Ticks": ("downstream", ticks)}
    shop = Registry("shop")
    server = lifecycle_grpc.sync_server(
        lambda server: add_service(server, methods), address="127.0.0.1:0"
    )
    shop.add(server, name="web")
    told = []

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            calls = (
                functools.partial(channel.unary_unary("/shop.Orders/Get"), b"", timeout=GENEROUS),
                lambda: list(channel.unary_stream("/shop.Orders/Ticks")(b"", timeout=GENEROUS)),
            )
            told.extend([await in_thread(sync_refusal_of, call) for call in calls])

    report = await run(shop, body)

    assert [grpc.StatusCode.UNKNOWN] * 2 == [code for code, _ in told]
    assert all(f"a handler has raised {error!r}" in text for _, text in told)
    assert (Outcome.CLEAN, ()) == (report.outcome, report.in_flight)


async def test_an_exit_of_an_interceptor_ends_one_call() -> None:
    """It is asked in the one thread that gRPC has for everybody."""

    class Exiting(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            if handler_call_details.method == "/shop.Orders/Get":
                raise SystemExit(7)
            return continuation(handler_call_details)

    shop, server = shop_of(SyncOrders(), interceptors=[Exiting()])

    async def body(system: System) -> None:
        with sync_connected(server.target) as channel:
            get, count = (
                functools.partial(channel.unary_unary("/shop.Orders/Get"), b"", timeout=GENEROUS),
                functools.partial(
                    channel.stream_unary("/shop.Orders/Count"), iter(()), timeout=GENEROUS
                ),
            )
            assert (await in_thread(sync_refusal_of, get))[0] is grpc.StatusCode.UNKNOWN
            assert await in_thread(count) == b"0"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


@pytest.mark.rule("B1")
@pytest.mark.parametrize("method", ["Get", "Ticks"])
async def test_a_handler_that_meets_what_is_not_ready(method: str) -> None:
    """Its client is told what, and to come back, and nothing else of the error."""
    shop = Registry("shop")
    systems: list[System] = []
    told = []

    def look(request: bytes, context: Any) -> bytes:
        return bytes(systems[0][cache], "utf-8")

    def look_and_say(request: bytes, context: Any) -> Iterator[bytes]:
        yield look(request, context)

    methods = {"Get": ("unary", look), "Ticks": ("downstream", look_and_say)}
    server = lifecycle_grpc.sync_server(
        lambda server: add_service(server, methods), address="127.0.0.1:0", requires=()
    )
    shop.add(server, name="web")

    @shop.component(after=["web"])
    async def cache(life: Lifetime) -> str:
        systems.append(life.system)
        with sync_connected(server.target) as channel:
            stream = channel.unary_stream(f"/shop.Orders/{method}")(b"")
            told.append(await in_thread(sync_refusal_of, lambda: next(stream)))
        return "a cache"

    assert (await run(shop)).outcome is Outcome.CLEAN
    assert told == [(UNAVAILABLE, "the service is not ready: 'cache' is starting")]


async def test_without_a_system_calls_are_finished_too() -> None:
    """It is a context manager, and has all the time in the world."""
    orders = SyncOrders()
    _, server = shop_of(orders)

    async with server:
        with sync_connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow").future(b"")
            await orders.has_said("slow")
            orders.go_on.set()
            assert await in_thread(slow.result) == b"slow"
