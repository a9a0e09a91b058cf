"""A shop that is served by somebody else's process; what goes wrong in it, GUEST says."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import FastAPI, Request

from lifecycle import Lifetime, Registry, events, requires
from lifecycle.integrations.fastapi import CurrentSystem, lifespan, provide
from lifecycle.probes import status_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

GOES_WRONG = os.environ.get("GUEST", "")
shop = Registry("shop")


def say(line: str) -> None:
    """Say something, and which process it is."""
    sys.stdout.write(f"> {line} [{os.getpid()}]\n")
    sys.stdout.flush()


def tell(event: events.Event) -> None:
    """Say where the system is."""
    if isinstance(event, events.PhaseChanged):
        say(str(event.phase))


class NoDatabaseError(Exception):
    """What a component raises."""


@shop.component
async def database() -> AsyncIterator[str]:
    """Something that routes need."""
    if GOES_WRONG == "the start":
        message = "the database is not reachable"
        raise NoDatabaseError(message)
    if GOES_WRONG == "a slow start":
        say("database hangs")
        await anyio.sleep_forever()
    yield "the database"
    if GOES_WRONG == "the stop":
        threading.Event().wait()  # a stuck driver, on the loop
    say("database closed")


@shop.service
async def packing(life: Lifetime, _: str = requires(database)) -> None:
    """Something that crashes when a route says so."""
    life.started()
    await life.wait_draining()
    say("packing drains")


crash = anyio.Event()


@shop.service
async def fragile(_: str = requires(database)) -> None:
    """Something that crashes when a route says so."""
    await crash.wait()
    message = "broken"
    raise ValueError(message)


@contextlib.asynccontextmanager
async def life(api: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
    """Say who takes SIGTERM before the system begins, meanwhile, and when it has ended."""
    say(f"SIGTERM is for {handler()}")
    async with lifespan(shop, observers=[tell])(api) as state:
        say(f"SIGTERM is for {handler()}")
        yield state
    say(f"SIGTERM is for {handler()}")


def handler() -> str:
    """Name the handler of SIGTERM."""
    return getattr(signal.getsignal(signal.SIGTERM), "__qualname__", "nobody")


api = FastAPI(lifespan=life)
api.mount("/internal", status_app())


@api.get("/")
async def home(database: str = provide(database)) -> str:
    """Answer at once."""
    return database


@api.post("/slow")
async def slow(request: Request, database: str = provide(database)) -> str:
    """Answer when the whole of the request has come."""
    say("slow begins")
    await request.body()
    say("slow ends")
    return database


@api.post("/crash")
async def crashes() -> None:
    """Let a component crash."""
    crash.set()


@api.post("/shut-down")
async def shuts_down(system: CurrentSystem, code: int) -> None:
    """Ask for the end."""
    system.shut_down("a route asks for it", exit_code=code)
