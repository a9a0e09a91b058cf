"""Code that runs early, and calls a part of the system that has not started yet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, requires, wants
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
HOW = sys.argv[2]
server = Registry("server")


class Tracer:
    """Notes what happens."""

    def note(self, what: str) -> None:
        """Note it."""
        say("traced:", what)


class Nothing(Tracer):
    """Does no harm until there is a tracer."""

    def note(self, what: str) -> None:
        """Drop it."""
        say("not traced:", what)


NOTHING = Nothing()


@server.component(optional=True)
async def tracer() -> Tracer:
    """Is not there."""
    message = "no collector"
    raise ConnectionError(message)


@server.component(start_timeout=1000, requires=["init"] if HOW == "deadlock" else [])
async def jobs(tracer: Tracer = wants(tracer, default=NOTHING)) -> AsyncIterator[str]:
    """Takes a while to start, during which the script calls it."""
    say("jobs start")
    await system_calls_early.wait()
    await anyio.sleep(0.3)
    tracer.note("jobs started")
    yield "jobs"
    say("jobs stopped")


@server.component(start_timeout=1000)
async def init(life: Lifetime) -> str:
    """The init script."""
    system = life.system
    called = system_calls_early.set
    if HOW == "call":
        called()
        return system[jobs]
    if HOW == "default":
        say("jobs or a default:", system.get(jobs, default="a default"))
        called()
        return "init"
    called()
    value = await system.ready(jobs)
    say("init has", value)
    return value


@server.main
async def main(init: str = requires(init), jobs: str = requires(jobs)) -> None:
    """All is ready."""
    say("runs")


class Early:
    """Set once the early call is being made; an event that needs no loop to be made."""

    def __init__(self) -> None:
        """Not yet."""
        self._event: anyio.Event | None = None
        self._is_set = False

    def set(self) -> None:
        """It is made."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Wait for it."""
        if not self._is_set:
            self._event = anyio.Event()
            await self._event.wait()


system_calls_early = Early()
lifecycle.run(server, backend=BACKEND)
say("run returned")
