"""What is counted as a failure of a stream or a call, and what is not."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

import anyio
import grpc
import grpc.aio
import pytest
from anyio.abc import SocketAttribute
from websockets.asyncio.server import serve

from tests.cluster.calls import Calls, Ticks
from tests.cluster.exchange import BrokenError
from tests.cluster.load import Counts, loaded
from tests.cluster.service import serving
from tests.cluster.streams import Chat, Events, Stream, follow
from tests.listening import handling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import SocketStream
    from websockets.asyncio.server import ServerConnection

    from tests.cluster.service import Service

HEAD: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT: Final = b"d\r\ndata: tick\n\n\n\r\n"
HALF_AN_EVENT: Final = b"a\r\ndata: tick\r\n"
END: Final = b"0\r\n\r\n"


class Port:
    """What a service is told of a pod."""

    is_ready = True

    def __init__(self, port: int) -> None:
        self.ports = {"http": port}


@contextlib.asynccontextmanager
async def saying(*pieces: bytes, reset: bool = False) -> AsyncGenerator[Service]:
    """Give a service whose pod answers every request so, and closes."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            for piece in pieces:
                await stream.send(piece)
            if reset:
                raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610  no Django
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with handling(listener, handle), serving("http", 0) as service:
        service.follow(Port(listener.extra(SocketAttribute.local_port)))  # noqa: S610  no Django
        yield service


async def failure_of(stream: Stream) -> str | None:
    """Follow a stream once; say what went wrong."""
    try:
        await stream.follow()
    except BrokenError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("pieces", "resets", "failure"),
    [
        ((HEAD, EVENT, EVENT, END), False, None),
        ((HEAD, END), False, None),
        ((HEAD, EVENT), False, "peer closed connection without sending complete message body"),
        ((HEAD, EVENT), True, "ConnectionResetError"),
        ((HEAD, EVENT, HALF_AN_EVENT, END), False, "in the middle of an event"),
        ((b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",), False, "503"),
        ((), False, "closed without an answer"),
    ],
)
def test_events(pieces: tuple[bytes, ...], resets: bool, failure: str | None) -> None:  # noqa: FBT001
    """Their response has to come to its end, between two events."""

    async def main() -> str | None:
        async with saying(*pieces, reset=resets) as service:
            return await failure_of(Events(service, "/", Counts()))

    found = anyio.run(main)

    assert found is None if failure is None else failure in str(found)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (1000, None),
        (1001, None),
        (1012, None),
        (1013, None),
        (1011, "closed with code 1011"),
        (None, "closed without a close frame"),
    ],
)
def test_websockets(code: int | None, failure: str | None) -> None:
    """They have to be closed by a close frame, with a code that says to come back.

    What was said and not answered before it is not lost, since its client says it again.
    """

    async def end(websocket: ServerConnection) -> None:
        await websocket.send(await websocket.recv())
        await websocket.recv()
        if code is None:
            websocket.transport.abort()
        else:
            await websocket.close(code)

    async def main() -> tuple[str | None, int]:
        async with serve(end, "127.0.0.1", 0) as server, serving("http", 0) as service:
            service.follow(Port(next(iter(server.sockets)).getsockname()[1]))
            counts = Counts()
            return await failure_of(Chat(service, "/", counts)), counts.retried

    assert anyio.run(main) == (failure, 1)


def test_a_websocket_that_cannot_be_opened() -> None:
    """That is a failure."""

    async def main() -> str | None:
        async with saying(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as service:
            return await failure_of(Chat(service, "/", Counts()))

    assert "403" in str(anyio.run(main))


def test_streams_are_opened_again() -> None:
    """Whatever way they have ended in, until the load is over; and each is counted."""

    class Alternating:
        def __init__(self) -> None:
            self.counts = Counts()
            self.enough = anyio.Event()
            self.is_closed = False

        async def follow(self) -> None:
            if self.counts.sent == 4:
                self.enough.set()
                await anyio.sleep_forever()
            if self.counts.sent % 2:
                raise BrokenError("broken", heard=True)

        async def close(self) -> None:
            self.is_closed = True

    async def main() -> Counts:
        stream = Alternating()
        async with loaded() as load:
            load.run(lambda over: follow(stream, over))
            await stream.enough.wait()
        assert stream.is_closed
        return stream.counts

    assert anyio.run(main) == Counts(sent=4, answered=2, failures=["broken", "broken"])


@contextlib.asynccontextmanager
async def calling(behave: Callable[[Any], Awaitable[None]]) -> AsyncGenerator[Service]:
    """Give a service whose pod is a gRPC server."""

    async def respond(request: bytes, context: Any) -> Any:
        await behave(context)
        return b""

    async def stream(request: bytes, context: Any) -> Any:
        yield b""
        await behave(context)

    handlers: Any = {
        "Unary": grpc.unary_unary_rpc_method_handler(respond),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("pod", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with serving("http", 0) as service:
        service.follow(Port(port))
        yield service
    await server.stop(None)


@pytest.mark.parametrize("keeps", [0, 1])
def test_calls(keeps: int) -> None:
    """Only OK is an answer."""

    async def ok(context: Any) -> None:
        """Answer."""

    async def no(context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

    async def main() -> list[Any]:
        seen: list[Any] = []
        for behave in (ok, no):
            async with calling(behave) as service:
                calls = Calls(service, "/pod/Unary", keeps=keeps)
                await calls.send()
                await calls.close()
                ticks = Ticks(service, "/pod/Stream", Counts())
                seen += [calls.counts, await failure_of(ticks)]
                await ticks.close()
        return seen

    assert anyio.run(main) == [
        Counts(sent=1, answered=1),
        None,
        Counts(sent=1, failures=["UNAVAILABLE: busy"]),
        "UNAVAILABLE: busy",
    ]
