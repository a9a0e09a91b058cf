"""What a port in a cluster meets: slow, silent, greedy and broken clients, and many of them.

Each is bounded, and none keeps a probe from being answered.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from lifecycle import Registry, Settings
from lifecycle.errors import SettingsError
from lifecycle.probes import Bounds
from tests.edges.probes.kit import (
    GENEROUS,
    Client,
    allow,
    asked,
    codes_in,
    connected,
    get,
    said,
    serving,
)

if TYPE_CHECKING:
    from lifecycle.probes import ProbeServer

pytestmark = pytest.mark.anyio

HEAD = b"GET /ready HTTP/1.1\r\nHost: shop\r\n"
NEVER = 1000.0
"""A bound that is not to be reached, in seconds."""


async def crowd(stack: contextlib.AsyncExitStack, server: ProbeServer, size: int) -> list[Client]:
    """Connect many times, as long as the stack is open."""
    return [await stack.enter_async_context(connected(server)) for _ in range(size)]


# --- slow clients --------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"GET /rea", HEAD, HEAD + b"Content-Length: 5\r\n\r\n123"])
async def test_a_request_has_to_come_in_time(data: bytes) -> None:
    """Whether nothing comes, or a part of it: the connection is closed, and nothing is said."""
    bounds = Bounds(request_time=0.05, idle_time=NEVER)
    async with serving(bounds=bounds) as (_, server), connected(server) as client:
        if data:
            await client.send(data)
        assert b"" == await client.rest()


async def test_a_request_in_drops_has_no_more_time() -> None:
    """A byte now and then does not keep a connection open: the time is for all of it."""
    bounds = Bounds(request_time=0.2, idle_time=NEVER)
    async with serving(bounds=bounds) as (_, server), connected(server) as client:
        await client.send(HEAD)
        with contextlib.suppress(anyio.BrokenResourceError, OSError):
            while not client.is_closed:
                await client.send(b"X: y\r\n")
                await client.look(0.02)
        assert b"" == await client.rest()


async def test_a_second_request_has_its_own_time() -> None:
    """That for the first byte is the idle time; from then on that of a request."""
    bounds = Bounds(request_time=NEVER, idle_time=NEVER)
    async with serving(bounds=bounds) as (_, server), connected(server) as client:
        assert 200 == (await client.get("/ready")).code
        allow(bounds, request_time=0.05)
        await client.send(HEAD)
        assert b"" == await client.rest()


async def test_an_idle_connection_is_closed() -> None:
    """After its answer it may wait for the next request, but not for ever."""
    bounds = Bounds(request_time=NEVER, idle_time=0.05)
    async with serving(bounds=bounds) as (_, server), connected(server) as client:
        assert 200 == (await client.get("/ready")).code
        assert b"" == await client.rest()


async def test_an_answer_has_to_be_taken_in_time() -> None:
    """A client that asks and does not read is closed, and the kernel keeps nothing for it."""
    shop = Registry("shop")
    for number in range(3000):  # a status of 1 MB, more than the kernel keeps
        shop.value(number, name=f"component-{number}-{'x' * 100}")
    bounds = Bounds(request_time=0.2, idle_time=NEVER)
    async with serving(shop, bounds=bounds) as (_, server):
        raw = socket.socket()
        with contextlib.closing(raw):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", server.port))
            raw.send(HEAD.replace(b"ready", b"status") + b"\r\n")  # in no time for the server
            raw.setblocking(False)
            await anyio.wait_readable(raw)  # it is being answered
            await server.crowd.is_empty()
            assert await is_reset(raw)
        allow(bounds, request_time=NEVER)
        assert 200 == (await get(server, "/status")).code


async def is_reset(raw: socket.socket) -> bool:
    """Read to the end: whether that is none, since the rest is gone."""
    try:
        while raw.recv(65536):
            await anyio.wait_readable(raw)
    except ConnectionResetError:
        return True
    return False


async def test_checks_have_the_time_that_the_settings_give_them() -> None:
    """However long that is, the client's own bounds do not run meanwhile."""
    shop = Registry("shop")
    database = shop.value("database", name="database")

    @database.check
    async def answers(_: str) -> None:
        await anyio.sleep_forever()

    bounds = Bounds(request_time=0.05, idle_time=0.05)
    async with serving(shop, Settings(check_timeout=0.5), bounds=bounds) as (_, server):
        assert [503] == codes_in(await asked(server, HEAD + b"\r\n"))


# --- many of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", HEAD], ids=["silent", "half a request"])
async def test_a_new_one_is_never_refused(data: bytes) -> None:
    """The one that has kept the server waiting longest goes; the others stay."""
    bounds = Bounds(connections=10, request_time=NEVER, idle_time=NEVER)
    async with serving(bounds=bounds) as (_, server), contextlib.AsyncExitStack() as stack:
        old = await crowd(stack, server, 10)
        for client in old:
            await client.send(data or b"\r\n"[:0])
        await server.crowd.all_wait(10)
        new = await crowd(stack, server, 4)
        assert [200] * 4 == [(await client.get("/ready")).code for client in new]
        assert [b""] * 4 == [await client.rest() for client in old[:4]]
        for client in old[4:]:
            await client.send(HEAD[len(data) :] + b"\r\n")
            assert 200 == (await client.reply()).code


async def test_who_was_served_last_is_the_last_to_go() -> None:
    """Not who has been connected for longest."""
    bounds = Bounds(connections=3, request_time=NEVER, idle_time=NEVER)
    async with serving(bounds=bounds) as (_, server), contextlib.AsyncExitStack() as stack:
        first, *others = await crowd(stack, server, 3)
        await server.crowd.all_wait(3)
        assert 200 == (await first.get("/ready")).code
        new = await crowd(stack, server, 2)
        for client in new:
            assert 200 == (await client.get("/ready")).code
        assert [b"", b""] == [await client.rest() for client in others]
        assert 200 == (await first.get("/ready")).code


async def test_drops_do_not_make_anybody_younger() -> None:
    """Who sends a byte now and then goes before who came later."""
    bounds = Bounds(connections=2, request_time=NEVER, idle_time=NEVER)
    async with serving(bounds=bounds) as (_, server), contextlib.AsyncExitStack() as stack:
        (dripping,) = await crowd(stack, server, 1)
        await dripping.send(HEAD)
        await server.crowd.all_wait(1)
        (idle,) = await crowd(stack, server, 1)
        assert 200 == (await idle.get("/ready")).code
        await dripping.send(b"X: y\r\n")
        assert 200 == (await idle.get("/ready")).code  # so the drop has arrived
        assert 200 == (await get(server)).code
        assert b"" == await dripping.rest()
        assert 200 == (await idle.get("/ready")).code


async def test_thousands_of_idle_ones_keep_no_probe_out() -> None:
    """Those that are too many are closed, and the probe is answered."""
    async with serving() as (_, server):
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                for _ in range(100):
                    idle = stack.enter_context(socket.socket())
                    idle.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        idle.connect(("127.0.0.1", server.port))
                assert 200 == (await get(server)).code
            await server.crowd.is_smaller(Bounds().connections + 1)


async def test_a_storm_leaves_the_service_its_turns() -> None:
    """For each probe that is let in, everybody else has his turn."""
    shop, turns = Registry("shop"), 0

    @shop.service
    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with serving(shop) as (_, server):
        with contextlib.ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in range(400)]
            for probe in probes:  # all are at the door when the first is let in
                probe.connect(("127.0.0.1", server.port))
                probe.sendall(HEAD + b"\r\n")
            before = turns
            await anyio.wait_readable(probes[-1])
            assert turns - before >= len(probes)
            for probe in probes:
                assert probe.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_where_all_are_busy_the_next_one_waits() -> None:
    """It is not refused, and nobody is closed who waits for a check."""
    shop, go_on, asked = Registry("shop"), anyio.Event(), anyio.Event()
    database = shop.value("database", name="database")

    @database.check
    async def answers(_: str) -> None:
        asked.set()
        await go_on.wait()

    bounds = Bounds(connections=2)
    settings = Settings(check_timeout=600)
    async with (
        serving(shop, settings, bounds=bounds) as (_, server),
        contextlib.AsyncExitStack() as stack,
    ):
        busy = await crowd(stack, server, 2)
        for client in busy:
            await client.ask("/ready")
        await asked.wait()
        (late,) = await crowd(stack, server, 1)
        await late.ask("/health")
        await late.look(0.1)
        assert 2 == server.crowd.size
        go_on.set()
        assert [200] * 3 == [(await client.reply()).code for client in (*busy, late)]


async def test_who_waits_for_a_check_is_not_dismissed() -> None:
    """However long ago his turn began: somebody goes who keeps the server waiting."""
    shop, go_on, asked = Registry("shop"), anyio.Event(), anyio.Event()
    database = shop.value("database", name="database")

    @database.check
    async def answers(_: str) -> None:
        asked.set()
        await go_on.wait()

    bounds = Bounds(connections=2)
    async with (
        serving(shop, Settings(check_timeout=600), bounds=bounds) as (_, server),
        contextlib.AsyncExitStack() as stack,
    ):
        busy, idle = await crowd(stack, server, 2)
        await busy.ask("/ready")
        await asked.wait()
        assert 200 == (await idle.get("/health")).code
        assert 200 == (await get(server, "/health")).code
        assert b"" == await idle.rest()
        go_on.set()
        assert 200 == (await busy.reply()).code


async def test_half_open_connections_end() -> None:
    """A peer that is gone without a word is one that sends nothing; a reset is no error."""
    bounds = Bounds(request_time=0.1)
    async with serving(bounds=bounds) as (_, server):
        for _ in range(20):
            raw = socket.create_connection(("127.0.0.1", server.port))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raw.send(HEAD)
            raw.close()  # with a reset
        assert [200] == codes_in(await asked(server, HEAD + b"\r\n"))
        await server.crowd.is_empty()


# --- greedy ones ---------------------------------------------------------------------------------


async def test_a_long_head_is_refused() -> None:
    """The client sees why, although it is sending still."""
    async with serving(bounds=Bounds(head=1024)) as (_, server), connected(server) as client:
        await client.send(HEAD + b"X: " + b"y" * 100_000)
        await client.end()
        reply = await client.reply()
        assert (431, "running") == (reply.code, reply.headers["lifecycle-phase"])
        assert "close" == reply.headers["connection"]
        assert b"" == await client.rest()


async def test_a_head_without_end_is_refused() -> None:
    """While it is still being sent; what comes after the refusal is read for a while, and lost."""
    async with serving() as (_, server), connected(server) as client:
        for _ in range(10):
            await client.send(b"x" * 65536)
        assert [431] == codes_in(await client.rest())


async def test_a_flood_ends() -> None:
    """What is read from a client that was refused has a bound, too."""
    async with serving() as (_, server), connected(server) as client:
        with pytest.raises(anyio.BrokenResourceError), anyio.fail_after(GENEROUS):
            await client.flood()


async def test_a_small_body_is_read_and_ignored() -> None:
    """The connection goes on behind it; in chunks, too."""
    async with serving() as (_, server), connected(server) as client:
        await client.send(HEAD + b"Content-Length: 5\r\n\r\n12345")
        assert 200 == (await client.reply()).code
        chunks = b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"
        await client.send(HEAD + chunks)
        assert 200 == (await client.reply()).code
        assert 200 == (await client.get("/ready")).code


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1001\r\n\r\n" + b"x" * 1001,
        b"Transfer-Encoding: chunked\r\n\r\n" + (b"64\r\n" + b"x" * 100 + b"\r\n") * 11,
    ],
    ids=["at once", "in chunks"],
)
async def test_a_large_body_is_refused(body: bytes, method: str) -> None:
    """With the reason, and the end of the connection."""
    head = HEAD.replace(b"GET", method.encode())
    async with serving(bounds=Bounds(body=1000)) as (_, server), connected(server) as client:
        await client.send(head + body + b"x" * 100_000)
        reply = await client.reply(method)
        assert (413, "close") == (reply.code, reply.headers["connection"])
        assert b"" == await client.rest()


async def test_who_waits_for_leave_to_send_a_body_gets_the_answer() -> None:
    """It needs none: HTTP calls that a final status, after which the connection ends."""
    async with serving() as (_, server), connected(server) as client:
        await client.send(HEAD + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        assert 200 == (await client.reply()).code
        assert b"" == await client.rest()


# --- broken ones ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /ready\r\n\r\n",
        b"GET /ready HTTP/1.1\r\n\r\n",
        b"GET  /ready HTTP/1.1\r\nHost: shop\r\n\r\n",
        b"GET /re\xc3\xa9 HTTP/1.1\r\nHost: shop\r\n\r\n",
        b"GET /ready HTTP/9.9\r\nHost: shop\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD + b"Host: other\r\n\r\n",
        HEAD + b"No colon\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n1",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_http_is_a_400(data: bytes) -> None:
    """Of TLS and HTTP/2, too; then the connection ends, and the next client is answered."""
    async with serving() as (_, server):
        answer = await said(server, data)
        assert [400] == codes_in(answer)
        assert b"lifecycle-phase: running" in answer.lower()
        assert 200 == (await get(server)).code


async def test_half_a_request_is_a_400() -> None:
    """Where the client has said that no more comes."""
    async with serving() as (_, server):
        assert [400] == codes_in(await said(server, HEAD))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connections", 0),
        ("viewers", True),
        ("head", 1.5),
        ("body", -1),
        ("request_time", 0),
        ("idle_time", float("inf")),
        ("idle_time", "5"),
    ],
)
def test_a_bound_has_to_be_one(name: str, value: Any) -> None:
    """More than nothing, and finite."""
    with pytest.raises(SettingsError, match=name):
        Bounds(**{name: value})
