"""How a probe server ends: last, soon, and with an answer for everyone who was there."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import lifecycle
from lifecycle import Lifetime, Registry, Settings
from lifecycle.probes import ProbeServer
from tests.edges.probes.kit import GENEROUS, Client, Probes, WatchedCrowd, connected, get, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle import System

pytestmark = pytest.mark.anyio


@pytest.fixture
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off at the end only who would have to be waited for, and nobody on a busy machine."""
    monkeypatch.setattr("lifecycle.probes.server._END", GENEROUS)
    monkeypatch.setattr("lifecycle._engine.shutdown.LAST_SECOND", GENEROUS)


LATE = Settings(grace_period=600, close_reserve=300)
"""For an end that may take long."""


@pytest.mark.rule("P1", "D9")
async def test_it_answers_to_the_very_end() -> None:
    """While the last component stops, and not any more when the system is closed."""
    server, shop, found = ProbeServer("127.0.0.1:0"), Registry("shop"), list[Any]()

    async def look() -> None:
        for path in ("/health", "/ready", "/startup"):
            reply = await get(server, path)
            found.append((path, reply.code, reply.headers["lifecycle-phase"]))

    @shop.component
    async def database() -> AsyncIterator[None]:
        yield
        await look()

    @database.drain
    async def _(_: None) -> None:
        await look()

    async with lifecycle.running(shop, companions=[server]):
        pass

    assert [
        ("/health", 200, "draining"),
        ("/ready", 503, "draining"),
        ("/startup", 200, "draining"),
        ("/health", 200, "closing"),
        ("/ready", 503, "closing"),
        ("/startup", 200, "closing"),
    ] == found
    with pytest.raises(OSError, match=r"."):
        await anyio.connect_tcp("127.0.0.1", server.port)


@pytest.mark.rule("P1")
async def test_a_rollback_is_healthy() -> None:
    """Also over HTTP: a 503 would invite the kill."""
    server, shop, found = ProbeServer("127.0.0.1:0"), Registry("shop"), list[Any]()

    @shop.component
    async def database() -> AsyncIterator[None]:
        yield
        for path in ("/health", "/ready", "/startup"):
            found.append((await get(server, path)).code)

    @shop.component(after=[database])
    async def web() -> None:
        raise OSError

    with contextlib.suppress(lifecycle.errors.StartError):
        async with lifecycle.running(shop, companions=[server]):
            pass

    assert [200, 503, 503] == found


@pytest.mark.rule("D9")
@pytest.mark.usefixtures("patient_end")
@pytest.mark.parametrize("data", [b"", b"GET /rea", b"GET /ready HTTP/1.1\r\nContent-Length: 5"])
async def test_open_connections_do_not_hold_it_up(data: bytes) -> None:
    """Idle, silent, and half a request: nobody is waited for, and none has to be cut off."""
    async with contextlib.AsyncExitStack() as stack:
        async with serving(None, LATE) as (_, server):
            clients = [await stack.enter_async_context(connected(server)) for _ in range(20)]
            for client in clients:
                assert 200 == (await client.get("/ready")).code
                if data:
                    await client.send(data)
            await server.crowd.all_wait(20)
        assert [b""] * 20 == [await client.rest() for client in clients]
    assert server.crowd.left_by_themselves


@pytest.mark.rule("D9")
@pytest.mark.usefixtures("patient_end")
async def test_who_does_not_read_does_not_hold_it_up() -> None:
    """What cannot be sent at once is thrown away."""
    shop = Registry("shop")
    for number in range(3000):
        shop.value(number, name=f"component-{number}-{'x' * 100}")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serving(shop, LATE) as (_, server):
            raw.connect(("127.0.0.1", server.port))
            raw.send(b"GET /status HTTP/1.1\r\nHost: shop\r\n\r\n")
            await server.crowd.all_wait(1)
    assert server.crowd.left_by_themselves


@pytest.mark.rule("P4")
@pytest.mark.usefixtures("patient_end")
async def test_who_has_asked_before_the_end_is_answered() -> None:
    """Even who was still at the door: what reached the port gets an answer, and then the end."""
    late: list[socket.socket] = []
    server, shop = ProbeServer("127.0.0.1:0"), Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[None]:
        yield
        for _ in range(50):  # without leaving the loop a chance: none of these is let in now
            raw = socket.create_connection(("127.0.0.1", server.port))
            raw.send(b"GET /health HTTP/1.1\r\nHost: shop\r\n\r\n")
            late.append(raw)

    async with lifecycle.running(shop, LATE, companions=[server]):
        pass

    answers: list[bytes] = []
    for raw in late:
        with raw:
            answers.append(raw.recv(4096).partition(b"\r\n")[0])
            assert b"" == raw.recv(4096)
    assert [b"HTTP/1.1 200 OK"] * 50 == answers


@pytest.mark.rule("P4")
async def test_an_answer_that_is_being_given_is_given() -> None:
    """One that waits for a check when the shutdown is asked for gets the answer of now."""
    shop, asked = Registry("shop"), anyio.Event()
    database = shop.value("database", name="database")

    @database.check
    async def answers(_: str) -> None:
        asked.set()
        await anyio.sleep_forever()

    async with contextlib.AsyncExitStack() as stack:
        async with serving(shop, Settings(check_timeout=600)) as (_, server):
            client = await stack.enter_async_context(connected(server))
            await client.ask("/ready")
            await asked.wait()
        reply = await client.reply()
    assert (503, "the body has ended") == (reply.code, reply.json["reason"])


@pytest.mark.rule("P4")
async def test_a_full_house_keeps_no_probe_from_being_answered() -> None:
    """However much is in flight, and however many components drain at once."""
    shop = Registry("shop")

    for number in range(200):

        @shop.service(name=f"worker {number}")
        async def worker(life: Lifetime) -> None:
            life.started()
            with life.hold("work"):
                await life.wait_draining()
                await release.wait()

    release = anyio.Event()

    async def body(system: System, server: Probes) -> None:
        system.shut_down("deploy")
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(look, server)
        release.set()

    async def look(server: Probes) -> None:
        for _ in range(3):
            assert (200, 503) == (
                (await get(server, "/health")).code,
                (await get(server, "/ready")).code,
            )

    async with serving(shop, Settings(grace_period=600)) as (system, server):
        await body(system, server)
        await system.closed()


@pytest.mark.rule("K2")
async def test_a_cancellation_leaves_nothing_behind() -> None:
    """Neither a task nor a socket; the companion's time was over, or the whole was cancelled."""
    clients: list[Client] = []
    crowd: WatchedCrowd | None = None
    async with contextlib.AsyncExitStack() as stack:
        with anyio.CancelScope() as scope:
            async with serving() as (_, server):
                crowd = server.crowd
                for _ in range(3):
                    client = await stack.enter_async_context(connected(server))
                    assert 200 == (await client.get("/ready")).code
                    clients.append(client)
                scope.cancel()
                await anyio.sleep_forever()
        assert [b""] * 3 == [await client.rest() for client in clients]
    assert crowd is not None
    await crowd.is_empty()
