"""How a server of ``grpc.aio`` starts, and what it does when it cannot."""

from __future__ import annotations

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import grpc
import grpc.aio
import pytest
from typing_extensions import assert_type

from lifecycle import Component, Lifetime, Limits, Outcome, Registry, Settings, requires
from lifecycle.errors import SettingsError, StartError, StartTimeoutError, UnknownComponentError
from lifecycle.integrations import grpc as lifecycle_grpc
from tests.edges.grpc import tls
from tests.edges.grpc.kit import (
    ON_ASYNCIO,
    OWN_CONNECTION,
    SERVING,
    Health,
    connected,
    is_refused,
    refusal_of,
    run,
    shop_of,
)
from tests.edges.grpc.services import DatabaseGoneError, Noticing, Orders, add_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from lifecycle import System

pytestmark = pytest.mark.anyio

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@pytest.fixture(params=ON_ASYNCIO.values(), ids=[*ON_ASYNCIO])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test wherever ``grpc.aio`` runs."""
    return request.param


async def greeting(channel: Any) -> bytes:
    """Call a service."""
    return await channel.unary_unary("/shop.Orders/Get")(b"piano")  # type: ignore[no-any-return]


# --- where it listens ----------------------------------------------------------------------------


async def test_its_port_is_known() -> None:
    """With port 0 as soon as it has started."""
    shop, server = shop_of(Orders())
    assert (server.port, server.target) == (0, "127.0.0.1:0")

    async def body(system: System) -> None:
        assert server.port > 0
        assert server.target == f"127.0.0.1:{server.port}"
        async with connected(server.target) as channel:
            assert await greeting(channel) == b"hello piano"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_it_listens_on_every_interface() -> None:
    """With a port alone; clients on the same machine have an address for it all the same."""
    shop, server = shop_of(Orders(), address=":0")

    async def body(system: System) -> None:
        assert server.target == f"127.0.0.1:{server.port}"
        async with connected(server.target) as channel:
            assert await greeting(channel) == b"hello piano"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("shop.example:80", "shop.example:80"),
        ("0.0.0.0:80", "127.0.0.1:80"),
        ("[::]:80", "[::1]:80"),
        ("[::1]:80", "[::1]:80"),
        ("80", "127.0.0.1:80"),
        ("unix:/run/shop.sock", "unix:/run/shop.sock"),
    ],
)
async def test_its_target_before_it_has_started(address: str, target: str) -> None:
    """That of which it was told."""
    _, server = shop_of(Orders(), address=address)

    assert (server.target, repr(server)) == (target, f"<grpc.Server at {target}>")


async def test_a_socket_in_the_file_system(tmp_path: Path) -> None:
    """It has no port."""
    shop, server = shop_of(Orders(), address=f"unix:{tmp_path}/shop.sock")

    async def body(system: System) -> None:
        assert server.port == 0
        async with connected(server.target) as channel:
            assert await greeting(channel) == b"hello piano"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_with_tls() -> None:
    """Clients see the certificate, and are counted as any others."""
    credentials = grpc.ssl_server_credentials([(tls.KEY, tls.CERTIFICATE)])
    shop, server = shop_of(Orders(), address="localhost:0", credentials=credentials)

    async def body(system: System) -> None:
        trusted = grpc.ssl_channel_credentials(tls.CERTIFICATE)
        channel = grpc.aio.secure_channel(server.target, trusted, options=OWN_CONNECTION)
        async with channel:
            assert await greeting(channel) == b"hello piano"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


@pytest.mark.parametrize("address", ["", "shop", ":x", "shop:", "[zz]:80", ":99999"])
def test_what_is_no_address(address: str) -> None:
    """It is said at once, and how it is written."""
    with pytest.raises(SettingsError, match=r'"HOST:PORT" or ":PORT", .* or "unix:PATH"'):
        lifecycle_grpc.server(lambda _: None, address=address)


async def test_a_port_that_is_taken() -> None:
    """The cause says which, and why; once it is free, all is well."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        shop, _ = shop_of(Orders(), address=f"127.0.0.1:{port}")

        report = await run(shop)
    again = await run(shop)

    assert (report.outcome, again.outcome) == (Outcome.START_FAILED, Outcome.CLEAN)
    [error] = report.errors
    assert str(error) == (
        "'web' did not start: "
        f"OSError: [Errno 98] cannot listen on 127.0.0.1:{port}: Address already in use"
    )


async def test_a_port_that_another_server_has() -> None:
    """By default gRPC would share it, and each would get some of the calls."""
    shop, server = shop_of(Orders())
    reports = []

    async def body(system: System) -> None:
        second, _ = shop_of(Orders(), address=server.target)
        reports.append(await run(second))

    await run(shop, body)

    assert f"cannot listen on {server.target}: Address already in use" in str(reports[0].errors[0])


async def test_a_host_that_is_not_here() -> None:
    """An address of somebody else."""
    shop, _ = shop_of(Orders(), address="192.0.2.1:0")

    report = await run(shop)

    assert "cannot listen on 192.0.2.1:0: Cannot assign requested address" in str(report.errors[0])


async def test_a_socket_that_cannot_be_made(tmp_path: Path) -> None:
    """Then gRPC's words are all there is."""
    shop, _ = shop_of(Orders(), address=f"unix:{tmp_path}/missing/shop.sock")

    report = await run(shop)

    assert f"cannot listen on unix:{tmp_path}/missing/shop.sock: " in str(report.errors[0])


# --- what it serves ------------------------------------------------------------------------------


async def test_servicers_that_cannot_be_added() -> None:
    """Their exception is the cause, and a port that was taken on the way is free again."""
    ports = []

    def register(server: grpc.aio.Server) -> None:
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        raise DatabaseGoneError

    shop = Registry("shop")
    shop.add(lifecycle_grpc.server(register, address="127.0.0.1:0"), name="web")

    report = await run(shop)

    assert report.outcome is Outcome.START_FAILED
    assert isinstance(report.errors[0].__cause__, DatabaseGoneError)
    assert await is_refused(ports[0])


async def test_it_can_be_built() -> None:
    """By a function, of what it requires; what is built is typed as a server."""
    shop = Registry("shop")

    @shop.component
    async def orders() -> Orders:
        return Orders()

    @shop.build(drain_timeout=20)
    def web(orders: Orders = requires(orders)) -> lifecycle_grpc.Server:
        return lifecycle_grpc.server(orders.add, address="127.0.0.1:0")

    assert_type(web, Component[lifecycle_grpc.Server])

    async def body(system: System) -> None:
        async with connected(system[web].target) as channel:
            assert await greeting(channel) == b"hello piano"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_servicers_may_be_added_asynchronously() -> None:
    """Nobody can connect before that is done."""
    orders = Orders()

    async def register(server: grpc.aio.Server) -> None:
        await anyio.lowlevel.checkpoint()
        orders.add(server)

    shop = Registry("shop")
    server = lifecycle_grpc.server(register, address="127.0.0.1:0")
    shop.add(server, name="web")

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            assert await greeting(channel) == b"hello piano"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_servicers_that_are_never_added() -> None:
    """It is cancelled at the deadline of the start, and leaves nothing."""

    async def register(server: grpc.aio.Server) -> None:
        await anyio.sleep_forever()

    shop = Registry("shop")
    shop.add(lifecycle_grpc.server(register, address="127.0.0.1:0"), name="web")

    report = await run(shop, settings=Settings(limits={"web": Limits(start=0.05)}))

    assert [StartTimeoutError] == [type(error) for error in report.errors]


async def test_calls_are_work_of_the_component() -> None:
    """In their handlers its lifetime is the current one."""
    seen: list[Any] = []

    class Looking(Orders):
        async def get(self, request: bytes, context: Any) -> bytes:
            life = Lifetime.current()
            works = [(w.component, w.what) for w in life.system.status().in_flight if w.component]
            seen.append((life.name, works))
            return b""

    shop, server = shop_of(Looking())

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            await greeting(channel)

    await run(shop, body)

    assert seen == [("web", [("web", "/shop.Orders/Get")])]


async def test_handlers_that_are_not_async() -> None:
    """They are called in threads, and counted; nothing interrupts them."""
    seen: list[Any] = []

    def get(request: bytes, context: Any) -> bytes:
        seen.extend(systems[0].status().in_flight)
        return b"in a thread"

    systems: list[System] = []
    with ThreadPoolExecutor(1) as threads:
        shop = Registry("shop")
        server = lifecycle_grpc.server(
            lambda server: add_service(server, {"Get": ("unary", get)}),
            address="127.0.0.1:0",
            migration_thread_pool=threads,
        )
        shop.add(server, name="web")

        async def body(system: System) -> None:
            systems.append(system)
            async with connected(server.target) as channel:
                assert await greeting(channel) == b"in a thread"

        await run(shop, body)

    assert "/shop.Orders/Get" in [work.what for work in seen]


async def test_interceptors_of_the_user() -> None:
    """They see what was let in, and nothing else; ours comes first, wherever that is."""
    interceptor, starting = Noticing(), anyio.Event()
    shop, server = shop_of(Orders(), interceptors=[interceptor])

    @shop.service(after=["web"])
    async def consumer(life: Lifetime) -> None:
        async with connected(server.target) as channel:
            assert (await refusal_of(greeting(channel)))[0] is UNAVAILABLE
        starting.set()
        life.started()
        await life.wait_draining()

    async def body(system: System) -> None:
        assert starting.is_set()
        async with connected(server.target) as channel:
            await greeting(channel)
            await refusal_of(channel.unary_unary("/shop.Orders/No")(b""))

    assert (await run(shop, body)).outcome is Outcome.CLEAN
    assert interceptor.seen == ["/shop.Orders/Get", "/shop.Orders/No"]


# --- readiness -----------------------------------------------------------------------------------


async def test_calls_are_refused_until_the_system_has_started() -> None:
    """They are told for whom it waits; what a call would meet might not be there."""
    shop, server = shop_of(Orders())
    told = []

    @shop.service(after=["web"])
    async def consumer(life: Lifetime) -> None:
        async with connected(server.target) as channel:
            told.append(await refusal_of(greeting(channel)))
        life.started()
        await life.wait_draining()

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            assert await greeting(channel) == b"hello piano"

    assert (await run(shop, body)).outcome is Outcome.CLEAN
    assert told == [(UNAVAILABLE, "the service is starting, and waits for 'consumer'")]


async def test_who_is_waited_for_is_not_a_whole_page() -> None:
    """Of many, some are named."""
    shop, server = shop_of(Orders())
    told = []

    @shop.service(after=["web"])
    async def first(life: Lifetime) -> None:
        async with connected(server.target) as channel:
            told.append(await refusal_of(greeting(channel)))
        life.started()
        await life.wait_draining()

    for number in range(9):
        shop.component(name=f"part {number}", after=["first"])(lambda: None)

    await run(shop)

    waits_for = "'first', 'part 0', 'part 1', 'part 2', 'part 3' and 5 more"
    assert told == [(UNAVAILABLE, f"the service is starting, and waits for {waits_for}")]


async def test_calls_can_wait_for_less_than_the_system() -> None:
    """For some components, or none; one that cannot start is named, too."""
    shop = Registry("shop")
    orders = Orders()
    told: dict[str, Any] = {}

    @shop.component(after=["easy", "strict", "lost"])
    async def cache() -> str:
        for name, server in servers.items():
            async with connected(server.target) as channel:
                told[name] = await refusal_of(greeting(channel))
        return "a cache"

    @shop.component(optional=True)
    async def broken() -> None:
        raise DatabaseGoneError

    servers = {
        name: lifecycle_grpc.server(orders.add, address="127.0.0.1:0", requires=requires)
        for name, requires in (("easy", ()), ("strict", [cache]), ("lost", [broken]))
    }
    for name, server in servers.items():
        shop.add(server, name=name, after=["broken"])

    async def body(system: System) -> None:
        async with connected(servers["strict"].target) as channel:
            assert await greeting(channel) == b"hello piano"

    assert (await run(shop, body)).outcome is Outcome.CLEAN
    assert told == {
        "easy": (grpc.StatusCode.OK, ""),
        "strict": (UNAVAILABLE, "the service is starting, and waits for 'cache'"),
        "lost": (UNAVAILABLE, "'broken' has failed"),
    }


@pytest.mark.rule("B1")
@pytest.mark.parametrize("method", ["Get", "Ticks"])
async def test_a_handler_that_meets_what_is_not_ready(method: str) -> None:
    """Its client is told what, and to come back, and nothing else of the error."""
    shop = Registry("shop")
    told = []

    async def look(request: bytes, context: Any) -> bytes:
        return bytes(Lifetime.current().system[cache], "utf-8")

    async def look_and_say(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield await look(request, context)

    methods = {"Get": ("unary", look), "Ticks": ("downstream", look_and_say)}
    server = lifecycle_grpc.server(
        lambda server: add_service(server, methods), address="127.0.0.1:0", requires=()
    )
    shop.add(server, name="web")

    @shop.component(after=["web"])
    async def cache() -> str:
        async with connected(server.target) as channel:
            stream = channel.unary_stream(f"/shop.Orders/{method}")(b"")
            told.append(await refusal_of(stream.read()))
        return "a cache"

    assert (await run(shop)).outcome is Outcome.CLEAN
    assert told == [(UNAVAILABLE, "the service is not ready: 'cache' is starting")]


async def test_what_is_required_has_to_be_there() -> None:
    """A component of another system is a mistake, found before anybody connects."""
    other = Registry("other").component(lambda: None, name="cache")
    shop, server = shop_of(Orders(), requires=[other])

    report = await run(shop)

    assert isinstance(report.errors[0].__cause__, UnknownComponentError)
    assert server.port == 0


async def test_during_a_rollback_calls_are_refused() -> None:
    """The start is over, but was never done."""
    shop, server = shop_of(Orders())
    told = []

    @shop.component(after=["looking"])
    async def broken() -> None:
        raise DatabaseGoneError

    class Looking:
        """Drains before the server does, since it comes after it."""

        def start(self) -> None:
            """Start."""

        async def drain(self) -> None:
            async with connected(server.target) as channel:
                told.append(await refusal_of(greeting(channel)))

    shop.add(Looking(), name="looking", after=["web"])

    report = await run(shop)

    assert report.outcome is Outcome.START_FAILED
    assert told == [(UNAVAILABLE, "the service is shutting down")]


# --- health --------------------------------------------------------------------------------------


async def test_its_services_serve_when_the_system_is_ready() -> None:
    """By their full names, as the protocol suggests, however they were added."""
    handlers = [grpc.method_handlers_generic_handler("shop.Returns", {})]
    shop, server = shop_of(Orders(), handlers=handlers)

    async def body(system: System) -> None:
        told = await Health(server.target).checks("shop.Orders", "shop.Returns", "shop.Others")
        assert told == [SERVING, SERVING, grpc.StatusCode.NOT_FOUND]

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_probes_need_no_credentials() -> None:
    """An interceptor of the user's that refuses everybody does not refuse them."""

    class Refusing(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            async def refuse(request: bytes, context: Any) -> None:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

            return grpc.unary_unary_rpc_method_handler(refuse)

    shop, server = shop_of(Orders(), interceptors=[Refusing()])

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            assert (await refusal_of(greeting(channel)))[0] is grpc.StatusCode.UNAUTHENTICATED
        assert await Health(server.target).check() == SERVING

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_without_health() -> None:
    """It can be left to somebody else."""
    shop, server = shop_of(Orders(), health=False)

    async def body(system: System) -> None:
        assert await Health(server.target).check() is grpc.StatusCode.UNIMPLEMENTED

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_a_health_service_of_the_user() -> None:
    """It is no work either: it is neither refused nor waited for."""

    class Watched(Orders):
        def add(self, server: grpc.aio.Server) -> None:
            add_service(server, {"Watch": ("downstream", self.endless)}, "grpc.health.v1.Health")

    orders = Watched()
    shop, server = shop_of(orders, health=False)

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
            assert await watch.read() == b"1"
            system.shut_down("deploy")
            await system.closed()
            assert (await refusal_of(watch.read()))[0] is UNAVAILABLE

    settings = Settings(limits={"web": Limits(drain=60, stop=6)}, grace_period=90)
    assert (await run(shop, body, settings)).outcome is Outcome.CLEAN
    assert orders.log == ["endless", "endless has ended"]


# --- options -------------------------------------------------------------------------------------


def test_what_is_no_option_of_grpc() -> None:
    """It is found when the server is made."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'wrokers'"):
        lifecycle_grpc.server(lambda _: None, address=":0", wrokers=3)


async def test_options_of_grpc() -> None:
    """They go through."""
    options = [("grpc.max_receive_message_length", 10)]
    shop, server = shop_of(Orders(), options=options, maximum_concurrent_rpcs=5)

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            call = channel.unary_unary("/shop.Orders/Get")(b"a very long message")
            assert (await refusal_of(call))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_a_port_may_be_shared_if_that_is_what_is_wanted() -> None:
    """By several processes, for example."""
    options = [("grpc.so_reuseport", 1)]
    shop, server = shop_of(Orders(), options=options)

    async def body(system: System) -> None:
        second = Registry("second")
        second.add(
            lifecycle_grpc.server(Orders().add, address=server.target, options=options), name="web"
        )
        assert (await run(second)).outcome is Outcome.CLEAN

    assert (await run(shop, body)).outcome is Outcome.CLEAN


# --- what it leaves alone ------------------------------------------------------------------------


async def test_it_touches_no_signals() -> None:
    """These belong to whoever runs the program."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    shop, _ = shop_of(Orders())

    async def body(system: System) -> None:
        assert before == [signal.getsignal(number) for number in numbers]

    await run(shop, body)

    assert before == [signal.getsignal(number) for number in numbers]


async def test_it_can_be_run_again() -> None:
    """One declaration, many runs, as in tests."""
    calls = []

    def register(server: grpc.aio.Server) -> None:
        calls.append(server)
        add_service(server, {})

    shop = Registry("shop")
    shop.add(lifecycle_grpc.server(register, address="127.0.0.1:0"), name="web")

    outcomes = [(await run(shop)).outcome, (await run(shop)).outcome]

    assert (outcomes, len(calls)) == ([Outcome.CLEAN, Outcome.CLEAN], 2)


def test_it_does_not_run_on_trio() -> None:
    """It says so, and what does."""
    shop, _ = shop_of_nothing()

    async def main() -> Any:
        return await run(shop)

    report = anyio.run(main, backend="trio")

    assert isinstance(report.errors[0], StartError)
    assert "grpc.aio runs on asyncio and uvloop, and not on trio: use `sync_server`" in str(
        report.errors[0]
    )


def shop_of_nothing() -> tuple[Registry, Any]:
    """Make a system with a server that serves nothing."""
    shop = Registry("shop")
    server = lifecycle_grpc.server(lambda _: None, address="127.0.0.1:0")
    shop.add(server, name="web")
    return shop, server
