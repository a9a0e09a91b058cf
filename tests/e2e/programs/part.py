"""A component of one of the integrations, in one kind of trouble, beside what it uses.

``part.py INTEGRATION BACKEND TROUBLE PORT FIFO``: the trouble is ``start``, ``starting`` (for
ever), ``hang``, ``crash``, or ``none`` but the port; the FIFO is held open by all that runs.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, Settings, events
from lifecycle.integrations import process, systemd
from lifecycle.states import Phase
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

INTEGRATION, BACKEND, TROUBLE, PORT, FIFO = sys.argv[1:]
ADDRESS = f"127.0.0.1:{PORT}"
HANGS = TROUBLE == "hang"
shop = Registry("shop")
running = anyio.Event()
os.set_inheritable(os.open(FIFO, os.O_WRONLY), True)


class GoneError(Exception):
    """What goes wrong, in the words of whoever uses the integration."""


@shop.component
async def database() -> AsyncIterator[str]:
    """What the part uses, to be closed behind it."""
    yield "database"
    say("database closed")


def tell(event: events.Event) -> None:
    """Say what becomes of the part, and let it crash when the system runs."""
    if isinstance(event, events.PhaseChanged) and event.phase is Phase.RUNNING:
        say("running")
        running.set()
    if isinstance(event, events.HookAbandoned) and event.component == "part":
        say(f"part abandoned in its {event.hook}")
    elif isinstance(event, events.ComponentStopped) and event.component == "part":
        say("part stopped")


async def go_on_for_ever() -> None:
    """Be in the way, whatever is done about it."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()


# --- web servers ---------------------------------------------------------------------------------


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Have a lifespan, and no requests."""
    assert scope["type"] == "lifespan"
    await receive()
    if TROUBLE == "start":
        raise GoneError("the database is not reachable")
    if TROUBLE == "starting":
        say("begun")
        await anyio.sleep_forever()
    await send({"type": "lifespan.startup.complete"})
    if TROUBLE == "crash":
        await running.wait()
        raise GoneError("the database is gone")
    await receive()
    if TROUBLE == "hang":
        await go_on_for_ever()
    await send({"type": "lifespan.shutdown.complete"})


def web() -> None:
    """A web server."""
    make = importlib.import_module(f"lifecycle.integrations.{INTEGRATION}").server
    shop.add(make(app, port=int(PORT)), name="part", after=[database])


# --- gRPC ----------------------------------------------------------------------------------------


async def register(server: Any) -> None:
    """Add no service; have somebody end the server behind the system's back."""
    if TROUBLE == "starting":
        say("begun")
        await anyio.sleep_forever()
    servers.append(server)


servers: list[Any] = []


def grpc() -> None:
    """A server of gRPC, synchronous or not."""
    grpc = importlib.import_module("lifecycle.integrations.grpc")
    make = grpc.sync_server if INTEGRATION == "grpc sync" else grpc.server
    shop.add(make(register, address=ADDRESS), name="part", after=[database])
    if TROUBLE == "crash":
        shop.service(end_the_server, name="somebody")


async def end_the_server(life: Lifetime) -> None:
    """End it as nobody should."""
    life.started()
    await running.wait()
    await servers[0].stop(None)
    await life.wait_draining()


# --- other programs ------------------------------------------------------------------------------

SCRIPTS = {
    "start": "echo 'php-fpm: unable to bind: Address already in use' >&2; exit 78",
    "starting": "echo begun; sleep 1000 & wait",
    "hang": "trap '' TERM; (sleep 1000) & echo up; sleep 1000 & while :; do wait; done",
    "crash": "trap 'echo out of memory >&2; exit 3' USR1; echo up; sleep 1000 & wait",
}


def program() -> None:
    """A program, and whatever it starts."""
    fifo = f"exec 9>'{FIFO}'; "
    ready = process.line("up")
    one = process.process(["sh", "-c", fifo + SCRIPTS[TROUBLE]], ready=ready)
    part = shop.add(one, name="part", after=[database], drain_timeout=0.2, stop_timeout=20)
    if TROUBLE == "crash":

        @shop.service
        async def somebody(
            life: Lifetime, program: process.Process = lifecycle.requires(part)
        ) -> None:
            life.started()
            await running.wait()
            os.kill(program.pid, signal.SIGUSR1)
            await life.wait_draining()


# --- Temporal ------------------------------------------------------------------------------------


def temporal() -> None:
    """A client and a worker of Temporal."""
    from temporalio import activity  # noqa: PLC0415  an extra

    temporal = importlib.import_module("lifecycle.integrations.temporal")
    client = shop.add(temporal.client(ADDRESS), name="client", after=[database])

    @activity.defn(no_thread_cancel_exception=True)
    def stuck() -> None:
        say("begun")
        threading.Event().wait()

    @activity.defn
    async def broken() -> None:
        raise BrokenExecutor("the pool of threads is broken")

    @shop.build(name="part", requires=[client], drain_timeout=0.5 if HANGS else None)
    def worker(client: Any = lifecycle.requires(client)) -> Any:
        return temporal.worker(client, task_queue="orders", activities=[stuck, broken])


# --- none of them, which systemd is told of ------------------------------------------------------


async def part(life: Lifetime) -> None:
    """A service."""
    if TROUBLE == "start":
        raise GoneError("the database is not reachable")
    if TROUBLE == "starting":
        say("begun")
        await anyio.sleep_forever()
    life.started()
    if TROUBLE == "crash":
        await running.wait()
        raise GoneError("the database is gone")
    await life.wait_draining()
    if TROUBLE == "hang":
        await go_on_for_ever()


def service() -> None:
    """A service of nobody's."""
    shop.service(part, name="part", after=[database])


MAKE: dict[str, Callable[[], None]] = {
    "grpc": grpc,
    "grpc sync": grpc,
    "process": program,
    "temporal": temporal,
    "systemd": service,
}
MAKE.get(INTEGRATION, web)()
# Only what hangs uses up its time; what ends by itself has enough, on a busy machine, too.
settings = Settings(grace_period=30, stop_timeout=0.5 if HANGS else 20)
backend: Any = BACKEND
lifecycle.run(shop, settings, backend=backend, observers=[tell], companions=[systemd.notifier()])
say("run returned")
