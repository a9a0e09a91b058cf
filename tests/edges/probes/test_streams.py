"""Who watches: an answer without an end, of which there are only so many."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import anyio.lowlevel
import pytest

from lifecycle import events
from lifecycle.probes import Bounds, routes
from lifecycle.probes.responses import Response
from tests.edges.probes.kit import GENEROUS, Client, allow, connected, get, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from lifecycle import System

pytestmark = pytest.mark.anyio

HEAD = (("Content-Type", "text/event-stream"),)


class Channel:
    """What is streamed at /events, piece by piece."""

    def __init__(self) -> None:
        self.pieces: Any = None
        self.ended = 0
        self.fails = False

    async def stream(self) -> AsyncGenerator[bytes]:
        """A greeting, and what is sent."""
        try:
            yield b"hello\n"
            if self.fails:
                raise ValueError("the page is broken")
            async with self.pieces[1].clone() as mine:
                async for piece in mine:
                    yield piece
            for _ in range(20):  # it takes its time to end
                await anyio.lowlevel.checkpoint()
            yield b"bye\n"
        finally:
            self.ended += 1


@pytest.fixture
def channel() -> Iterator[Channel]:
    """Serve a stream at /events."""
    channel, answered = Channel(), routes.respond

    async def respond(system: System, method: str, path: str, *more: Any) -> Response:
        if path == "/events":
            response = Response(200, HEAD, stream=channel.stream)
            return response.for_head() if method == "HEAD" else response
        return await answered(system, method, path, *more)

    with mock.patch("lifecycle.probes.connection.respond", respond):
        yield channel


@contextlib.asynccontextmanager
async def piped(channel: Channel) -> AsyncGenerator[Any]:
    """Give what pieces are sent into."""
    channel.pieces = anyio.create_memory_object_stream[bytes](100)
    async with channel.pieces[0], channel.pieces[1]:
        yield channel.pieces[0]


async def watch(client: Client, *, version: str = "1.1") -> None:
    """Ask for the stream, and see it begin."""
    await client.send(f"GET /events HTTP/{version}\r\nHost: shop\r\n\r\n".encode())
    await client.until(b"hello\n")


async def test_pieces_arrive_as_they_come(channel: Channel) -> None:
    """In chunks, and after the last of them the connection goes on."""
    async with (
        piped(channel) as pieces,
        serving() as (_, server),
        connected(server) as client,
    ):
        await watch(client)
        await pieces.send(b"one\n")
        await client.until(b"one\n")
        await pieces.send(b"two\n")
        await client.until(b"two\n")
        await pieces.aclose()
        await client.until(b"0\r\n\r\n")
        assert 200 == (await client.get("/ready")).code
    assert 1 == channel.ended


async def test_http_1_0_has_no_chunks(channel: Channel) -> None:
    """The end of the connection is that of the stream."""
    async with (
        piped(channel) as pieces,
        serving() as (_, server),
        connected(server) as client,
    ):
        await watch(client, version="1.0")
        await pieces.send(b"one\n")
        await pieces.aclose()
        assert b"one\nbye\n" == await client.rest()


async def test_head_begins_no_stream(channel: Channel) -> None:
    """It has the headers, and that is all."""
    async with serving() as (_, server):
        reply = await get(server, "/events", method="HEAD")

    assert (200, "text/event-stream") == (reply.code, reply.headers["content-type"])
    assert 0 == channel.ended


async def test_only_so_many_may_watch(channel: Channel) -> None:
    """The next one is told so, and may come when another one has left."""
    async with (
        piped(channel),
        serving(bounds=Bounds(viewers=2)) as (_, server),
        contextlib.AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(connected(server)) for _ in range(3)]
        for client in clients[:2]:
            await watch(client)
        refused = await clients[2].get("/events")
        assert (503, "too many watch already") == (refused.code, refused.json["error"])
        assert 200 == (await clients[2].get("/ready")).code

        await clients[0].close()
        await server.crowd.is_smaller(3)
        await watch(clients[2])


async def test_who_watches_is_not_dismissed(channel: Channel) -> None:
    """Though it sends nothing: it is not the one that keeps the server waiting."""
    async with (
        piped(channel) as pieces,
        serving(bounds=Bounds(connections=2)) as (_, server),
        connected(server) as viewer,
    ):
        await watch(viewer)
        for _ in range(5):
            assert 200 == (await get(server)).code
        await pieces.send(b"one\n")
        await viewer.until(b"one\n")


async def test_who_leaves_ends_his_stream(channel: Channel) -> None:
    """At once: what it holds is let go."""
    async with piped(channel), serving() as (_, server):
        async with connected(server) as client:
            await watch(client)
        await server.crowd.is_empty()
        assert 1 == channel.ended


async def test_who_does_not_read_is_closed(channel: Channel) -> None:
    """It has so long for each piece."""
    bounds = Bounds(request_time=GENEROUS)
    async with (
        piped(channel) as pieces,
        serving(bounds=bounds) as (_, server),
        connected(server) as client,
    ):
        await watch(client)
        allow(bounds, request_time=0.05)
        await pieces.send(b"x" * 20_000_000)
        await server.crowd.is_empty()
        assert 1 == channel.ended


async def test_a_stream_that_breaks_is_cut_off(
    channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not look complete; the log says why, and the others are answered."""
    channel.fails = True
    async with serving() as (_, server), connected(server) as client:
        await watch(client)
        assert b"0\r\n\r\n" not in await client.rest()
        assert 200 == (await get(server)).code
    assert ["a connection to the probes was given up"] == [
        record.message for record in caplog.records if record.levelname == "ERROR"
    ]


async def test_a_stream_may_say_its_last_word_at_the_end(channel: Channel) -> None:
    """It ends when everything else has, and then the server waits a little for it."""
    async with contextlib.AsyncExitStack() as stack:
        pieces = await stack.enter_async_context(piped(channel))

        def end(event: events.Event) -> None:
            if isinstance(event, events.CompanionStopping):
                pieces.send_nowait(b"the end\n")
                pieces.close()

        async with serving(observers=[end]) as (_, server):
            client = await stack.enter_async_context(connected(server))
            await watch(client)
        assert (await client.rest()).endswith(b"bye\n\r\n0\r\n\r\n")


async def test_an_endless_stream_does_not_hold_up_the_end(channel: Channel) -> None:
    """It is cut off."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(piped(channel))
        async with serving() as (_, server):
            client = await stack.enter_async_context(connected(server))
            await watch(client)
        assert b"0\r\n\r\n" not in await client.rest()
    assert 1 == channel.ended
