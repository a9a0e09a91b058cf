"""A component of one of the integrations, on an event loop that is torn down at each moment.

``teardown.py INTEGRATION BACKEND``: says what was wrong after how many turns of the loop, counted
from where, and ``over``. The function that the loop runs returns meanwhile, and asyncio cancels
every task that there is.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import socket
import sys
import warnings
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, Settings, events
from lifecycle.integrations import process
from lifecycle.states import Phase
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INTEGRATION, BACKEND = sys.argv[1:]
STAGES = {"start": 60, "opens": 12, "running": 4, "draining": 20}
"""From when on turns of the loop are counted, and how many are tried."""

logging.disable()
# Of a task that was cancelled before it ran.
warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


class Run:
    """One run, until it is torn down."""

    def __init__(self, stage: str, turns: int) -> None:
        self._stage = stage
        self._turns = turns
        self._began = asyncio.Event()
        self._is_open = False
        self.wrong: list[str] = []

    async def main(self) -> None:
        """Start a system in a task, and leave it alone."""
        task = asyncio.create_task(self._system())
        self._pass("start")
        await self._began.wait()
        for _ in range(self._turns):
            await asyncio.sleep(0)
        assert not task.done()

    def see(self) -> None:
        """See that everything was closed."""
        if self._is_open:
            self.wrong.append("the database is open")

    async def _system(self) -> None:
        shop = Registry("shop")

        @shop.component
        async def database() -> AsyncIterator[None]:
            self._is_open = True
            try:
                yield
            finally:
                self._is_open = False

        shop.add(self._part(), name="part", after=[database])
        settings = Settings(grace_period=30)
        async with lifecycle.running(shop, settings, observers=[self._told]) as system:
            if self._stage == "draining":
                system.shut_down("the test is over")
            await system.closed()
            await anyio.sleep_forever()

    def _told(self, event: events.Event) -> None:
        if isinstance(event, events.PhaseChanged):
            stages = {Phase.RUNNING: "running", Phase.DRAINING: "draining"}
            self._pass(stages.get(event.phase, ""))
        elif isinstance(event, events.HookAbandoned):
            self.wrong.append(f"the {event.hook} of {event.component} was abandoned")

    def _pass(self, stage: str) -> None:
        if stage == self._stage:
            self._began.set()

    def _part(self) -> Any:
        if INTEGRATION == "process":
            return process.process(["sleep", "1000"])
        if INTEGRATION.endswith("grpc"):
            grpc = importlib.import_module("lifecycle.integrations.grpc")
            make = grpc.sync_server if INTEGRATION.startswith("sync") else grpc.server
            return make(self._look_at, address="127.0.0.1:0")
        one = socket.create_server(("127.0.0.1", 0))  # which takes no thread, and so no time
        server = importlib.import_module(f"lifecycle.integrations.{INTEGRATION}").server
        return server(app, sockets=[one])

    def _look_at(self, server: Any) -> None:
        """Note when a server of ``grpc.aio`` opens what takes calls."""
        start = server.start
        if asyncio.iscoroutinefunction(start):

            async def opening() -> None:
                self._pass("opens")
                await start()

            server.start = opening


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Have a lifespan, and no requests."""
    assert scope["type"] == "lifespan"
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


for stage, turns in STAGES.items():
    if stage == "opens" and INTEGRATION != "grpc":
        continue
    for turn in range(turns):
        run = Run(stage, turn)
        anyio.run(run.main, backend_options={"use_uvloop": BACKEND == "uvloop"})
        gc.collect()
        run.see()
        for what in run.wrong:
            say(f"{stage} {turn}: {what}")
say("over")
