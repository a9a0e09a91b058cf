"""What is counted as a failure, and what is not; how connections find a pod."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
import attrs
import pytest
from anyio.abc import SocketAttribute

from tests.cluster.exchange import BrokenError, connect
from tests.cluster.load import Client, Counts, Proxy, loaded
from tests.cluster.service import Service, serving
from tests.cluster.spec import Ports
from tests.listening import handling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import SocketStream


class Do(enum.Enum):
    """What can be done in place of an answer."""

    CLOSE = enum.auto()
    RESET = enum.auto()
    NOTHING = enum.auto()


Script: TypeAlias = Sequence[bytes | Do]
"""For each request of a connection, what is done. No more are answered after these."""

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
OK_AND_CLOSE: Final = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
HALF: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"
BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"

OFTEN: Final = 20
NO_ANSWER: Final = "closed without an answer"
LATE: Final = "no answer within 0.2 s"
PATIENT: Final = 30.0
"""How long is waited for what comes, in seconds; what never does is not waited for so long."""


@attrs.define(eq=False)
class FakePod:
    """What a service is told of a pod."""

    ports: Any
    is_ready: bool = True
    requests: int = 0
    asked_often: anyio.Event = attrs.field(factory=anyio.Event)

    def ask(self) -> None:
        """Note that somebody has."""
        self.requests += 1
        if self.requests >= OFTEN:
            self.asked_often.set()


@contextlib.asynccontextmanager
async def scripted(*script: bytes | Do) -> AsyncGenerator[FakePod]:
    """Run a server that does the same on each connection."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    pod = FakePod({"http": listener.extra(SocketAttribute.local_port)})  # noqa: S610  no Django

    async def handle(stream: SocketStream) -> None:
        async with stream:
            for step in [*script, Do.NOTHING]:
                await until_asked(stream)
                pod.ask()
                if isinstance(step, bytes):
                    await stream.send(step)
                elif step is Do.NOTHING:
                    await anyio.sleep_forever()
                else:
                    if step is Do.RESET:
                        reset(stream)
                    return

    async with handling(listener, handle):
        yield pod


async def until_asked(stream: SocketStream) -> None:
    """Read a request; wait for ever where there is none."""
    received = b""
    try:
        while not received.endswith(b"\r\n\r\n"):
            received += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        await anyio.sleep_forever()


def reset(stream: SocketStream) -> None:
    """Let the close of a connection be a reset."""
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610  no Django
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextlib.asynccontextmanager
async def behind(*pods: FakePod, lag: float = 0) -> AsyncGenerator[Service]:
    """Give a service that leads to pods."""
    async with serving("http", lag) as service:
        for pod in pods:
            service.follow(pod)
        yield service


@contextlib.contextmanager
def nobody() -> Any:
    """Give a pod that is gone, and whose port nobody else has got."""
    ports = Ports.reserve(["http"])
    yield FakePod(ports)
    ports.release()


async def two_of(client: Client, patience: float | None = None) -> Counts:
    """Send two requests, one after the other; perhaps with another patience for the second."""
    await client.send()
    if patience is not None:
        client.timeout = patience
    await client.send()
    await client.close()
    assert client.counts.sent == 2
    return client.counts


@pytest.mark.parametrize(
    ("script", "method", "keeps", "answered", "retried", "failures"),
    [
        ([OK], "GET", 0, 2, 0, []),
        ([OK, OK], "POST", 1, 2, 0, []),
        ([OK_AND_CLOSE], "POST", 1, 2, 0, []),
        # Closed, or reset, while a request was on its way: that is what `retried` is for.
        ([OK, Do.CLOSE], "GET", 1, 2, 1, []),
        ([OK, Do.RESET], "GET", 1, 2, 1, []),
        ([OK, Do.CLOSE], "POST", 1, 1, 0, [NO_ANSWER]),
        ([Do.CLOSE], "GET", 1, 0, 0, [NO_ANSWER] * 2),
        ([BUSY, BUSY], "GET", 1, 0, 0, ["503 busy"] * 2),
        ([Do.NOTHING], "GET", 1, 0, 0, [LATE] * 2),
        ([OK, Do.NOTHING], "GET", 1, 1, 0, [LATE]),
        ([OK, HALF], "GET", 1, 1, 0, [LATE]),
    ],
)
def test_what_a_client_counts(  # noqa: PLR0913, PLR0917  what is looked at
    script: Script, method: str, keeps: int, answered: int, retried: int, failures: list[str]
) -> None:
    """Of two requests, one after the other: how many were answered, or retried, and what failed."""

    async def main() -> Counts:
        async with scripted(*script) as pod, behind(pod) as service:
            # Only where nothing comes: an answer is late on a machine that is busy.
            first, second = (
                0.2 if step is Do.NOTHING or step == HALF else PATIENT
                for step in (script[0], script[-1])
            )
            return await two_of(Client(service, method, keeps=keeps, timeout=first), second)

    assert anyio.run(main) == Counts(2, answered, retried, failures)


def test_a_retry_is_on_a_new_connection() -> None:
    """All that are kept may have been closed at the same time."""

    async def main() -> Counts:
        async with scripted(OK, Do.CLOSE) as pod, behind(pod) as service:
            client = Client(service, keeps=2)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.send)
                tasks.start_soon(client.send)
            await client.send()
            await client.close()
            return client.counts

    assert anyio.run(main) == Counts(sent=3, answered=3, retried=1)


@pytest.mark.parametrize("end", [Do.CLOSE, Do.RESET])
def test_half_an_answer_is_none(end: Do) -> None:
    """Not even on a kept connection, by a proxy: some of it may be out already."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            for answer in [OK, HALF]:
                await until_asked(stream)
                await stream.send(answer)
            if end is Do.RESET:
                reset(stream)

    seen: list[Counts] = []

    async def main() -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        pod = FakePod({"http": listener.extra(SocketAttribute.local_port)})  # noqa: S610  no Django
        async with handling(listener, handle), behind(pod, pod) as service:
            seen.append(await two_of(Client(service, keeps=1)))
            seen.append(await two_of(Proxy(service, keeps=1)))

    anyio.run(main)

    for counts in seen:
        assert (counts.answered, counts.retried, len(counts.failures)) == (1, 0, 1)


def test_nobody_there_is_a_failure() -> None:
    """Whoever is sent to a pod that is gone is refused, kept connections or not."""

    async def main() -> tuple[Counts, int]:
        with nobody() as gone:
            async with behind(gone) as service:
                return await two_of(Client(service, keeps=1)), service.refused

    counts, refused = anyio.run(main)

    assert (counts.answered, counts.retried, len(counts.failures)) == (0, 0, 2)
    assert refused == 2


@pytest.mark.parametrize(
    ("bad", "method", "is_answered"),
    [
        (None, "GET", True),
        (None, "POST", True),  # nothing was sent
        (Do.CLOSE, "GET", True),
        (Do.CLOSE, "POST", False),
        (Do.NOTHING, "GET", True),
        (Do.NOTHING, "POST", False),
        (BUSY, "GET", True),
        (BUSY, "POST", False),
    ],
)
def test_what_a_proxy_does(bad: bytes | Do | None, method: str, is_answered: bool) -> None:  # noqa: FBT001
    """It asks the next pod, where that can do no harm; each once; whose turn it was matters not."""

    async def main() -> Counts:
        async with contextlib.AsyncExitStack() as stack:
            good = await stack.enter_async_context(scripted(OK))
            if bad is None:
                other = stack.enter_context(nobody())
            else:
                other = await stack.enter_async_context(scripted(bad))
            service = await stack.enter_async_context(behind(good, other))
            # Long enough for the one that answers, on a machine that is busy.
            within = 3 if bad is Do.NOTHING else PATIENT
            return await two_of(Proxy(service, method, timeout=within))

    counts = anyio.run(main)

    assert (counts.answered, counts.retried) == ((2, 1) if is_answered else (1, 0))


def test_a_proxy_gives_up() -> None:
    """Where nobody else is left to ask."""

    async def main() -> Counts:
        async with (
            scripted(Do.CLOSE) as one,
            scripted(BUSY) as other,
            behind(one, other) as service,
        ):
            return await two_of(Proxy(service))

    counts = anyio.run(main)

    assert (counts.answered, counts.retried, len(counts.failures)) == (0, 2, 2)


def test_requests_do_not_wait_for_each_other() -> None:
    """They come at their rate, whether those before them were answered or not."""

    async def main() -> Counts:
        async with scripted(Do.NOTHING) as pod, behind(pod) as service:
            client = Client(service, timeout=0.5)
            async with loaded() as load:
                load.send(client, rate=100)
                await pod.asked_often.wait()
            return client.counts

    counts = anyio.run(main)

    assert counts.sent >= OFTEN
    assert len(counts.failures) == counts.sent


def test_a_service_hears_late() -> None:
    """Of a pod that is to get no more connections; of one that is ready at once."""

    async def main() -> tuple[list[int], list[int]]:
        async with scripted(OK) as one, scripted(OK) as other, behind(one, lag=3) as service:
            client = Client(service)
            one.is_ready = False
            service.follow(one)
            await two_of(client)
            early = [one.requests, other.requests]
            service.follow(other)
            await service.wait_left(one)
            await client.send()
            return early, [one.requests, other.requests]

    assert anyio.run(main) == ([2, 0], [2, 1])


def test_a_connection_stays_with_its_pod() -> None:
    """In rotation or not: nobody takes it away."""

    async def main() -> int:
        async with scripted(OK, OK) as pod, behind(pod) as service:
            connection = await connect(service.port)
            await connection.ask("GET", "/")
            pod.is_ready = False
            service.follow(pod)
            await service.wait_left(pod)
            response = await connection.ask("GET", "/")
            await connection.close()
            with pytest.raises(BrokenError):
                await (await connect(service.port)).ask("GET", "/")
            return response.status

    assert anyio.run(main) == 200
