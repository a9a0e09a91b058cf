"""What probes, and a storm of them, do to the latency of the service that is asked.

Three processes: the service (uvicorn, a small app, a few components with checks, a probe server),
its users (200 requests a second on 8 connections), and the probes (a new connection for each, as a
kubelet does it). A latency counts from the moment at which the request was due, so that a client
that had to wait for its turn does not hide how long the service was away.
"""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import socket
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import attrs

import lifecycle
from benchmarks.measuring import Heading, Line, microseconds, row
from lifecycle import Registry, Settings
from lifecycle.integrations import uvicorn
from lifecycle.probes import ProbeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from multiprocessing.connection import Connection

Result = tuple[list[float], float]
"""Latencies, and how long all of it took, in seconds."""

COMPONENTS = 10
USERS = 8
PROBERS = 8
USER_RATE = 200.0


# --- the service ---------------------------------------------------------------------------------


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Wait for a database for two milliseconds, and work a little."""
    del scope, receive
    await anyio.sleep(0.002)
    body = json.dumps({"numbers": list(range(500))}).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(backend: Any, ports: Connection) -> None:
    """Run the service, as a process of its own."""
    logging.getLogger("lifecycle").setLevel(logging.WARNING)
    shop = Registry("shop")
    for number in range(COMPONENTS):
        handle = shop.value(number, name=f"component-{number}")

        @handle.check
        async def answers(_: int) -> None:
            """Is in order."""

    probes = ProbeServer("127.0.0.1:0")
    web = shop.add(uvicorn.server(app, port=0, lifespan="off"), name="web")

    @shop.service
    async def tell(server: uvicorn.Server = lifecycle.requires(web)) -> None:
        ports.send((server.port, probes.port))
        await anyio.sleep_forever()

    lifecycle.run(shop, Settings(check_ttl=1), backend=backend, companions=[probes])


# --- clients -------------------------------------------------------------------------------------


def exchange(connected: socket.socket, target: str) -> None:
    """Ask on a connection, and read the whole answer."""
    connected.sendall(f"GET {target} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(connected)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head.decode())
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    left = length - len(body)
    while left > 0:
        left -= len(received(connected))


def received(connected: socket.socket) -> bytes:
    """Read a piece."""
    data = connected.recv(65536)
    if not data:
        raise ConnectionError
    return data


def probe(port: int) -> Callable[[], None]:
    """Give what asks once, on a new connection."""

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", port), 10) as connected:
            exchange(connected, "/ready")

    return ask


def use(port: int) -> Callable[[], None]:
    """Give what asks again and again, on one connection."""
    connected = socket.create_connection(("127.0.0.1", port), 10)
    return lambda: exchange(connected, "/")


def ask_for(seconds: float, interval: float, ask: Callable[[], None], took: list[float]) -> None:
    """Ask at a fixed rate; note how long after its time each answer was there."""
    began = due = time.monotonic()
    while due < began + seconds:
        time.sleep(max(0.0, due - time.monotonic()))  # blocks on purpose: a thread keeps its time
        with contextlib.suppress(OSError):
            ask()
            took.append(time.monotonic() - due)
        due += interval


@attrs.frozen
class Group:
    """Clients that ask the same."""

    kind: Callable[[int], Callable[[], None]]
    port: int
    number: int
    rate: float
    """Requests a second, of all together."""


def clients(group: Group, seconds: float, results: Connection) -> None:
    """Run a group of clients, as a process of its own."""
    took: list[float] = []
    interval = group.number / group.rate
    asked = [group.kind(group.port) for _ in range(group.number)]
    threads = [
        threading.Thread(target=ask_for, args=(seconds, interval, ask, took)) for ask in asked
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Who fell behind needed longer than he was to ask for, and that is what he is measured by.
    results.send((took, max(seconds, time.monotonic() - began)))


# --- the comparison ------------------------------------------------------------------------------


def measure(*, quick: bool) -> Iterator[Line]:
    """Without probes, with as many as there should be, and in a storm; on both loops."""
    seconds, rounds, storm = (0.5, 1, 50.0) if quick else (5.0, 3, 2000.0)
    for backend in ("asyncio",) if quick else ("asyncio", "uvloop"):
        with serving(backend) as (web, probes):
            taken = [
                [compare(web, probes, rate, seconds) for rate in (0.0, 1.0, storm)]
                for _ in range(rounds)
            ]
        for which, rate in ((1, 1.0), (2, storm)):
            answered = statistics.mean(len(turn[which]["probes"][0]) for turn in taken) / seconds
            yield Heading(f"{backend}, asked to take {rate:g} probes/s; answered {answered:.0f}/s")
            for percent in (50, 95, 99):
                pairs = [
                    (
                        percentile(turn[which], percent),
                        percentile(turn[0], percent),
                    )
                    for turn in taken
                ]
                least = [microseconds(min(pair[each] for pair in pairs)) for each in (0, 1)]
                yield row(
                    f"{percent} % of the calls, against none",
                    [probed / unprobed for probed, unprobed in pairs],
                    note=f"{least[0]} to {least[1]}",
                )


@contextlib.contextmanager
def serving(backend: str) -> Generator[tuple[int, int]]:
    """Run the service; gives its port, and that of its probes."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    service = context.Process(target=serve, args=(backend, theirs))
    service.start()
    try:
        yield mine.recv()
    finally:
        service.terminate()
        service.join()


def compare(web: int, probes: int, rate: float, seconds: float) -> dict[str, Result]:
    """Use the service, and probe it meanwhile if there is a rate; what came of both."""
    context = multiprocessing.get_context("spawn")
    groups = {"service": Group(use, web, USERS, USER_RATE)}
    if rate:
        groups["probes"] = Group(probe, probes, PROBERS, rate)
    running = {}
    for name, group in groups.items():
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=clients, args=(group, seconds, theirs))
        process.start()
        running[name] = (process, mine)
    found = {name: results.recv() for name, (_, results) in running.items()}
    for process, _ in running.values():
        process.join()
    return found


def percentile(found: dict[str, Result], percent: int) -> float:
    """The latency that so many of the service's calls do not exceed."""
    return statistics.quantiles(found["service"][0], n=100)[percent - 1]
