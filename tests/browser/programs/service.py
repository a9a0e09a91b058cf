"""A service with a probe server, in which whatever takes time waits until it is told to go on.

Told by lines on a socket, each answered with ``ok``: ``let database start`` lets what is called so
go on, for good; ``ping fails`` and ``ping works`` say what a check says; ``unavailable REASON`` and
``available`` are for the packing.

    service.py ADDRESS      the address of the probes
"""

from __future__ import annotations

import contextlib
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

import lifecycle
from lifecycle import Lifetime, Registry, Settings, System, requires, wants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

shop = Registry("shop")


class Told:
    """What the test has said so far."""

    def __init__(self) -> None:
        self.ping_fails = False
        self.packing: Lifetime | None = None
        self._let: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)

    async def to(self, step: str) -> None:
        """Wait until the test lets this step be taken."""
        await self._let[step].wait()

    def hear(self, line: str) -> None:
        """Do what a line says."""
        verb, _, rest = line.partition(" ")
        if verb == "let":
            self._let[rest].set()
        elif verb == "ping":
            self.ping_fails = rest == "fails"
        elif self.packing is not None and verb == "unavailable":
            self.packing.unavailable(rest)
        elif self.packing is not None and verb == "available":
            self.packing.available()
        else:
            raise ValueError(line)


@contextlib.asynccontextmanager
async def control(system: System) -> AsyncIterator[None]:
    """Listen to the test for as long as the system lives: a companion."""

    async def serve(stream: SocketStream) -> None:
        lines = BufferedByteReceiveStream(stream)
        with contextlib.suppress(anyio.IncompleteRead, anyio.BrokenResourceError):
            while True:
                told.hear((await lines.receive_until(b"\n", 1000)).decode())
                await stream.send(b"ok\n")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610  anyio's, not Django's
        print(f"> control at {port}", flush=True)
        yield
        group.cancel_scope.cancel()


@shop.preflight
async def disk() -> None:
    """Pass when told."""
    await told.to("preflight pass")


@shop.component
def config() -> str:
    """A value."""
    return "config"


@shop.component(start_timeout=60)
async def database(config: str = requires(config)) -> AsyncIterator[str]:
    """Starts and stops when told."""
    await told.to("database start")
    yield "database"
    await told.to("database stop")


@database.check
async def ping(database: str) -> bool:
    """Say what it was told to say."""
    return not told.ping_fails


@shop.service(optional=True)
async def tracing(life: Lifetime, config: str = requires(config)) -> None:
    """Crash when told; it may."""
    life.started()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def end() -> None:
                await life.wait_draining()
                scope.cancel()

            group.start_soon(end)
            await told.to("tracing crash")
            message = "the collector at 10.0.0.1 is gone"
            raise ConnectionError(message)


@shop.component
def api(database: str = requires(database), tracing: object = wants(tracing)) -> str:
    """What the web server serves."""
    return "api"


@shop.service
async def packing(life: Lifetime, database: str = requires(database)) -> None:
    """Packs an order, as long as it is not told to be done."""
    told.packing = life
    life.started()
    await told.to("packing take an order")
    with life.hold("order 17"):
        await told.to("packing finish")
    await life.wait_draining()


@shop.service(after=[packing])
async def web(life: Lifetime, api: str = requires(api)) -> None:
    """Stands for a server."""
    life.started()
    await life.wait_draining()


if __name__ == "__main__":
    told = Told()
    # A browser on a busy machine takes its time to look, also at what ends by itself.
    settings = Settings(
        probes=sys.argv[1],
        drain_delay=4,
        grace_period=40,
        stop_timeout=30,
        check_timeout=30,
        check_ttl=0,
    )
    lifecycle.run(shop, settings, companions=[control])
