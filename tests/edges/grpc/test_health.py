"""What ``grpc.health.v1`` says, whichever server carries it."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

import anyio
import grpc
import pytest

from lifecycle import Lifetime, Outcome, Registry, Settings
from lifecycle.integrations import grpc as lifecycle_grpc
from lifecycle.integrations.grpc import _health_server
from tests.edges.grpc.kit import (
    NOT_SERVING,
    ON_ASYNCIO,
    SERVICE_UNKNOWN,
    SERVING,
    Health,
    Watch,
    checking,
    in_thread,
    request,
    run,
    sync_connected,
    sync_refusal_of,
)
from tests.edges.grpc.services import Orders, SyncOrders

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lifecycle import System

pytestmark = [pytest.mark.anyio, pytest.mark.rule("P6")]

ON_TRIO: dict[str, Any] = {"trio": ("trio", {})}
EVERYONE = ("", "readiness", "liveness", "startup", "web")
STARTING = [NOT_SERVING, NOT_SERVING, SERVING, NOT_SERVING, SERVING]
READY = [SERVING] * 5
DELAYING = [NOT_SERVING, NOT_SERVING, SERVING, SERVING, SERVING]
ENDING = [NOT_SERVING, NOT_SERVING, SERVING, SERVING, NOT_SERVING]


class Carrier:
    """A system, and what carries its health."""

    def __init__(self, kind: str) -> None:
        self.shop = Registry("shop")
        self.companions: list[Any] = []
        self.orders: Orders | SyncOrders | None = None
        self._server: Any
        if kind == "companion":
            self._server = lifecycle_grpc.health_server("127.0.0.1:0")
            self.companions.append(self._server)
            self.shop.value("a value", name="web")
        elif kind == "server":
            self.orders = Orders()
            self._server = lifecycle_grpc.server(self.orders.add, address="127.0.0.1:0")
            self.shop.add(self._server, name="web")
        else:
            self.orders = SyncOrders()
            self._server = lifecycle_grpc.sync_server(self.orders.add, address="127.0.0.1:0")
            self.shop.add(self._server, name="web")

    @property
    def target(self) -> str:
        """Where it is asked."""
        return str(self._server.target)

    @property
    def health(self) -> Health:
        """Who asks it."""
        return Health(self.target)

    @contextlib.asynccontextmanager
    async def busy(self) -> AsyncGenerator[None]:
        """Have a call in flight, where there is a service; at the end it is answered."""
        if self.orders is None:
            yield
            return
        with sync_connected(self.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow").future(b"")
            await self.orders.has_said("slow")
            yield
            self.orders.go_on.set()
            assert await in_thread(slow.result) == b"slow"

    async def run(self, body: Any, settings: Settings | None = None) -> None:
        """Run the system; all has to be well."""
        report = await run(self.shop, body, settings, companions=self.companions)
        assert (report.outcome, report.errors) == (Outcome.CLEAN, ())


CARRIERS = [
    pytest.param((kind, backend), id=f"{kind}-{name}")
    for kind, backends in (
        ("server", ON_ASYNCIO),
        ("sync server", ON_ASYNCIO | ON_TRIO),
        ("companion", ON_ASYNCIO | ON_TRIO),
    )
    for name, backend in backends.items()
]


@pytest.fixture(params=CARRIERS)
def arrangement(request: pytest.FixtureRequest) -> Any:
    """Carry it in each way, on every event loop that can do that."""
    return request.param


@pytest.fixture
def anyio_backend(arrangement: Any) -> Any:
    """Run on the event loop of the arrangement."""
    return arrangement[1]


@pytest.fixture
def carrier(arrangement: Any, monkeypatch: pytest.MonkeyPatch) -> Carrier:
    """Make a new one for each test."""
    # Those who watch read the last word before the end, also on a machine that is busy.
    monkeypatch.setattr(_health_server, "_LINGER", 15.0)
    return Carrier(arrangement[0])


# --- Check ---------------------------------------------------------------------------------------


async def test_before_the_system_is_ready(carrier: Carrier) -> None:
    """The process can do work, and a component that is ready says so; nothing else serves yet."""
    told = []

    @carrier.shop.service(after=["web"])
    async def consumer(life: Lifetime) -> None:
        told.append(await carrier.health.checks(*EVERYONE, "consumer"))
        life.started()
        await life.wait_draining()

    async def body(system: System) -> None:
        told.append(await carrier.health.checks(*EVERYONE, "consumer"))

    await carrier.run(body)

    assert told == [[*STARTING, NOT_SERVING], [*READY, SERVING]]


async def test_from_the_first_moment_of_a_shutdown(carrier: Carrier) -> None:
    """The system is not ready any more; in the drain delay each component is, and says so."""
    told = []

    async def body(system: System) -> None:
        system.shut_down("deploy")
        told.append(await carrier.health.checks(*EVERYONE))
        system.signal(signal.SIGINT)  # which ends the delay

    await carrier.run(body, Settings(drain_delay=60, grace_period=90))

    assert told == [DELAYING]


async def test_while_calls_are_finished(carrier: Carrier) -> None:
    """It answers on the port of the server that drains, by new connections."""
    told = []

    async def body(system: System) -> None:
        async with carrier.busy():
            system.shut_down("deploy")
            await system.wait_draining()
            told.append(await carrier.health.checks(*EVERYONE))
            told.append(await carrier.health.checks(*EVERYONE))

    await carrier.run(body)

    assert told == [ENDING, ENDING]


async def test_names_that_nobody_has(carrier: Carrier) -> None:
    """The answer is that of the protocol, and says nothing else."""

    async def body(system: System) -> None:
        with sync_connected(carrier.target) as channel:
            refusal = await in_thread(
                sync_refusal_of, lambda: checking(channel)(request("shop.Nobody"))
            )
        assert refusal == (
            grpc.StatusCode.NOT_FOUND,
            "there is no service, and no component, of the name 'shop.Nobody'",
        )

    await carrier.run(body)


@pytest.mark.rule("P3")
async def test_checks_of_components(carrier: Carrier) -> None:
    """One that fails takes its component, and the system, out of rotation."""
    database = carrier.shop.value("a database", name="database")
    database.check(lambda _: False)
    told = []

    async def body(system: System) -> None:
        told.append(await carrier.health.checks(*EVERYONE, "database"))

    await carrier.run(body)

    assert told == [[NOT_SERVING, NOT_SERVING, SERVING, SERVING, SERVING, NOT_SERVING]]


@pytest.mark.rule("P1")
async def test_checks_of_liveness(carrier: Carrier) -> None:
    """One that fails says that the process can do no work any more."""
    database = carrier.shop.value("a database", name="database")
    database.check(liveness=True)(lambda _: False)
    told = []

    async def body(system: System) -> None:
        told.append(await carrier.health.check("liveness"))

    await carrier.run(body)

    assert told == [NOT_SERVING]


# --- Watch ---------------------------------------------------------------------------------------


async def test_those_who_watch_are_told(carrier: Carrier) -> None:
    """Now, whenever it changes, and from the first moment of a shutdown on; then they are let go.

    They hold up nothing: the drain has a minute, and takes none of it.
    """
    told: dict[str, list[Any]] = {}

    @carrier.shop.service
    async def broker(life: Lifetime) -> None:
        life.started()
        await lost.wait()
        life.unavailable("the broker is lost")
        await back.wait()
        life.available()
        await life.wait_draining()

    lost, back = anyio.Event(), anyio.Event()

    async def body(system: System) -> None:
        with sync_connected(carrier.target) as channel:
            watches = {name: Watch(channel, name) for name in ("", "liveness", "broker", "nobody")}
            for name, watch in watches.items():
                told[name] = [await watch.next()]
            lost.set()
            for name in ("", "broker"):
                told[name].append(await watches[name].next())
            back.set()
            for name in ("", "broker"):
                told[name].append(await watches[name].next())
            system.shut_down("deploy")
            for name in ("", "broker"):
                told[name].append(await watches[name].next())
            await system.closed()
            for name, watch in watches.items():
                told[name].append(await watch.next())

    await carrier.run(body, Settings(drain_timeout=60, grace_period=90))

    gone = (grpc.StatusCode.UNAVAILABLE, "the service is shutting down")
    assert told == {
        "": [SERVING, NOT_SERVING, SERVING, NOT_SERVING, gone],
        "broker": [SERVING, NOT_SERVING, SERVING, NOT_SERVING, gone],
        "liveness": [SERVING, gone],
        "nobody": [SERVICE_UNKNOWN, gone],
    }


async def test_those_who_watch_are_told_what_checks_say(carrier: Carrier) -> None:
    """Whoever has asked them."""
    database = carrier.shop.value("a database", name="database")
    answers = iter([True, False])
    database.check(lambda _: next(answers))
    told = []

    async def body(system: System) -> None:
        with sync_connected(carrier.target) as channel:
            watch = Watch(channel, "database")
            told.append(await watch.next())
            await system.check()
            told.append(await watch.next())

    await carrier.run(body, Settings(check_ttl=0, check_timeout=20))

    assert told == [SERVING, NOT_SERVING]


async def test_those_who_leave_are_forgotten(carrier: Carrier) -> None:
    """By an end of the call, or of the connection; others are told all the same."""
    told = []

    async def body(system: System) -> None:
        with sync_connected(carrier.target) as channel:
            staying, leaving = Watch(channel, ""), Watch(channel, "")
            told.extend([await staying.next(), await leaving.next()])
            with sync_connected(carrier.target) as other:
                told.append(await Watch(other, "").next())
            leaving.leave()
            system.shut_down("deploy")
            told.append(await staying.next())

    await carrier.run(body)

    assert told == [SERVING, SERVING, SERVING, NOT_SERVING]


async def test_a_check_that_changes_its_mind_is_not_asked_without_pause(carrier: Carrier) -> None:
    """What it says wakes those who watch, and they ask it again after a second, not at once."""
    database = carrier.shop.value("a database", name="database")
    asked: list[float] = []

    @database.check
    async def works(_: str) -> bool:
        asked.append(anyio.current_time())
        return len(asked) % 2 == 0

    async def body(system: System) -> None:
        with sync_connected(carrier.target) as channel:
            watch = Watch(channel, "database")
            assert [NOT_SERVING, SERVING] == [await watch.next(), await watch.next()]

    await carrier.run(body, Settings(check_timeout=20))

    # The pause is counted from a moment before the check is called, which may be late in that.
    assert asked[1] - asked[0] >= 0.5
