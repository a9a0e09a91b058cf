"""What a storm of probes does to the service that it asks: latencies without and with, in a table.

    python benchmarks/probe_storm.py --rate 2000 --seconds 10 --backend asyncio

Three processes: the service (uvicorn, a small app, a few components with checks, a probe server),
its users (200 requests a second on 8 connections), and the probes (a new connection for each, as a
kubelet does it). A latency counts from the moment at which the request was due, so that a client
that had to wait for its turn does not hide how long the service was away.
"""

from __future__ import annotations

import argparse
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
from lifecycle import Registry, Settings
from lifecycle.integrations import uvicorn
from lifecycle.probes import ProbeServer

if TYPE_CHECKING:
    from collections.abc import Callable
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

    lifecycle.run(shop, Settings(), backend=backend, companions=[probes])


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


def measure(web: int, probes: int, rate: float, seconds: float) -> dict[str, Result]:
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


def row(name: str, result: Result) -> str:
    """Write one line of the table."""
    took, seconds = result
    cuts = statistics.quantiles(took, n=100)
    times = [f"{cuts[49] * 1e3:9.2f}", f"{cuts[94] * 1e3:9.2f}", f"{cuts[98] * 1e3:9.2f}"]
    return f"{name:34}{len(took) / seconds:10.0f}{''.join(times)}{max(took) * 1e3:9.2f}"


def main() -> None:
    """Measure without, and with."""
    parser = argparse.ArgumentParser(description="What a storm of probes does to a service.")
    parser.add_argument("--rate", type=float, default=2000, help="probes a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--backend", choices=("asyncio", "uvloop"), default="asyncio")
    options = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    service = context.Process(target=serve, args=(options.backend, theirs))
    service.start()
    web, probes = mine.recv()
    try:
        print(f"{options.backend}; milliseconds")
        print(f"{'':34}{'a second':>10}{'median':>9}{'95 %':>9}{'99 %':>9}{'longest':>9}")
        without = measure(web, probes, 0, options.seconds)
        print(row("service, nobody probes", without["service"]))
        for rate in (1.0, options.rate):
            found = measure(web, probes, rate, options.seconds)
            print(row(f"service, asked to take {rate:g} probes/s", found["service"]))
            print(row("the probes themselves", found["probes"]))
    finally:
        service.terminate()
        service.join()


if __name__ == "__main__":
    main()
