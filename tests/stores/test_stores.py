"""The stores and the broker of the page, against the real ones."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import lifecycle
from lifecycle import errors, events
from lifecycle.probes import ask
from tests.stores.kit import Ends, live, used_by
from tests.stores.page import recipes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle import System
    from tests.stores.servers import Server

# What of the page is about whom, and where that finds it.
STORES = {
    "engine": ("postgres", "DATABASE_URL"),
    "pool": ("postgres", "POSTGRES_URL"),
    "cache": ("redis", "REDIS_URL"),
    "broker": ("nats", "NATS_URL"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    """Give the name of the component."""
    name: str = request.param
    return name


@pytest.fixture
def server(
    request: pytest.FixtureRequest, store: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """Give the server that it talks to, not started."""
    name, variable = STORES[store]
    server: Server = request.getfixturevalue(name)
    url = server.url
    if store == "engine":
        url = url.replace("postgresql:", "postgresql+asyncpg:")
    monkeypatch.setenv(variable, url)
    yield server
    server.stop()


async def use(store: Any) -> None:
    """Use a store, whichever it is, by a round trip."""
    kind = type(store).__module__.partition(".")[0]
    if kind == "sqlalchemy":
        from sqlalchemy import text  # noqa: PLC0415  only where it is used

        async with store.connect() as connection:
            found: Any = (await connection.execute(text("select 42"))).scalar()
    elif kind == "asyncpg":
        found = await store.fetchval("select 42")
    elif kind == "redis":
        await store.set("answer", 42)
        found = int(await store.get("answer"))
    else:
        await store.flush()
        found = 42
    assert found == 42


def causes(error: BaseException | None) -> str:
    """Everything that is said of an error, its causes included."""
    return "".join(traceback.format_exception(error)) if error is not None else ""


def test_it_is_not_there(store: str, server: Server, backend: str) -> None:
    """The start fails; that the connection was refused is its cause, and there is none left."""
    page = recipes()
    part = getattr(page, store)

    async def nothing(_: System) -> None:
        pytest.fail("it has started")

    with pytest.raises(errors.StartError) as raised:
        live(page.shop.only(part), nothing, backend)

    assert raised.value.component == store
    text = causes(raised.value.__cause__)
    assert "refused" in text or "Connect call failed" in text, text
    assert raised.value.report is not None
    assert raised.value.report.exit_code == 69
    assert server.connections == 0


def test_its_life(store: str, server: Server, backend: str) -> None:
    """Connected from its start, whole while who uses it drains, and closed after that."""
    page = recipes()
    server.start()
    shop = used_by(page.shop, getattr(page, store), use)
    ends = Ends()

    async def body(system: System) -> None:
        assert 1 <= server.connections
        assert (await ask(system, "ready")).ok

    report = live(shop, body, backend, ends)

    assert (report.outcome, report.errors) == (lifecycle.Outcome.CLEAN, ())
    drained, *_, stopped = ends.seen
    assert ["user drained", f"{store} stopped"] == [drained, stopped]
    assert server.connections == 0


def test_it_goes_away_and_comes_back(store: str, server: Server) -> None:
    """The service is not ready meanwhile, and ready again, without a restart."""
    page = recipes()
    server.start()
    part = getattr(page, store)
    waiting = [anyio.Event()]

    def observe(event: events.Event) -> None:
        if isinstance(event, events.AvailabilityChanged):
            waiting[0].set()

    async def changed() -> None:
        """Wait until it says so by itself, where it has no check."""
        if store == "broker":
            await waiting[0].wait()
            waiting[0] = anyio.Event()

    async def body(system: System) -> None:
        await anyio.to_thread.run_sync(server.stop)
        await changed()
        assert not (await ask(system, "ready")).ok
        await anyio.to_thread.run_sync(server.start)
        await changed()
        assert (await ask(system, "ready")).ok

    report = live(page.shop.only(part), body, "asyncio", observe)

    assert report.outcome == lifecycle.Outcome.CLEAN


@pytest.mark.parametrize("store", ["pool", "cache", "broker"])
def test_it_comes_up_later_than_the_service(store: str, server: Server) -> None:
    """The start is tried again, and succeeds."""
    page = recipes()
    retried: list[int] = []

    def observe(event: events.Event) -> None:
        if isinstance(event, events.ComponentRetrying) and not retried:
            retried.append(1)
            server.start()  # blocks the loop: until it is there nothing is tried

    async def body(system: System) -> None:
        await use(system[getattr(page, store)])

    live(page.shop.only(getattr(page, store)), body, "asyncio", observe)

    assert [1] == retried


@pytest.mark.parametrize("store", ["broker"])
def test_no_message_is_lost(store: str, server: Server, backend: str) -> None:
    """What the broker has sent when the shutdown begins is handled, and answered."""
    page = recipes()
    server.start()
    packed: list[bytes] = []
    answered: list[bytes] = []
    busy = anyio.Event()

    async def pack(order: bytes) -> None:
        busy.set()
        await anyio.sleep(0.01)
        packed.append(order)

    page.pack = pack
    orders = [str(number).encode() for number in range(20)]

    async def body(system: System) -> None:
        other = await page.nats.connect(server.url)

        async def note(message: Any) -> None:
            answered.append(message.data)

        await other.subscribe("packed", cb=note)
        for order in orders:
            await other.publish("orders", order)
        await other.flush()
        await busy.wait()
        system.shut_down("a deploy")
        await system.wait_draining()
        report = await system.closed()
        await other.drain()
        assert report.outcome == lifecycle.Outcome.CLEAN

    live(page.shop.only(page.orders), body, backend)

    assert orders == packed
    assert orders == answered
