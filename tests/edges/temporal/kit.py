"""A worker that packs orders, on a database that can tell who used it too late."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
from temporalio import activity
from temporalio.exceptions import CancelledError

import lifecycle
from lifecycle import Component, Lifetime, Registry, Report, Settings, System, requires
from lifecycle.errors import RunError
from lifecycle.integrations import temporal
from tests.edges.temporal.frontend import GENEROUS, InThread, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from temporalio.client import Client

    from lifecycle.events import Observer

QUEUE = "orders"


class Activities:
    """What the worker runs, and what was heard of it, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.database_is_open = False
        self.begun = 0
        self._changed = anyio.Event()
        self.go_on = anyio.Event()
        self.thread_goes_on = threading.Event()
        self._loop = asyncio.get_running_loop()

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[None]:
        """Be open for some time."""
        self.database_is_open = True
        yield
        self.database_is_open = False
        self.log.append("database closed")

    def begin(self) -> None:
        """Say that an activity runs, on the event loop."""
        self.begun += 1
        self._changed.set()
        self._changed = anyio.Event()

    def finish(self) -> None:
        """Let all activities go on."""
        self.go_on.set()
        self.thread_goes_on.set()

    async def running(self, number: int) -> None:
        """Wait until so many activities have begun."""
        with anyio.fail_after(GENEROUS):
            while self.begun < number:
                await self._changed.wait()

    @activity.defn
    async def pack(self, order: int) -> str:
        """Use the database when it may go on."""
        self.begin()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            await anyio.lowlevel.checkpoint()  # whoever is cut off can await, to put things back
            self.log.append(f"put back {order}")
            raise
        assert self.database_is_open
        return f"packed {order}"

    @activity.defn
    def weigh(self, order: int) -> str:
        """Do the same in a thread."""
        with Lifetime.current().hold(f"scales of {order}"):
            pass
        try:
            self.begin_in_thread()
            while not self.thread_goes_on.is_set():
                time.sleep(0.01)  # blocks on purpose: only in between is it interrupted
        except CancelledError:
            self.log.append(f"put back {order}")
            raise
        assert self.database_is_open
        return f"weighed {order}"

    def begin_in_thread(self) -> None:
        """Say that an activity runs, in a thread."""
        self._loop.call_soon_threadsafe(self.begin)

    @activity.defn(no_thread_cancel_exception=True)
    def stuck(self) -> str:
        """Listen to nobody."""
        self.begin_in_thread()
        self.thread_goes_on.wait(GENEROUS)  # blocks on purpose: a stuck driver
        self.log.append("stuck has ended")
        return "not stuck"

    @activity.defn
    async def deaf(self) -> str:
        """Swallow cancellations."""
        self.begin()
        while not self.go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.go_on.wait()
        return "heard nothing"

    @activity.defn
    async def broken(self) -> None:
        """Raise what Temporal's worker takes for the end of everything."""
        message = "the pool of threads is broken"
        raise BrokenExecutor(message)

    def all(self) -> list[Callable[..., Any]]:
        """Give all of them."""
        return [self.pack, self.weigh, self.stuck, self.deaf, self.broken]


def shop_of(
    frontend: InThread, activities: Activities, *, namespace: str = "default", **options: Any
) -> tuple[Registry, Component[temporal.Worker]]:
    """Make a system of a client, a database and a worker."""
    shop = Registry("shop")
    database = shop.add(activities.database(), name="database")
    client = shop.add(temporal.client(frontend.target, namespace=namespace), name="temporal")

    @shop.build(**options)  # type: ignore[untyped-decorator] # as they come
    def worker(client: Client = requires(client), _: None = requires(database)) -> temporal.Worker:
        # Without a build id, the code of all modules is read, which are many where tests run.
        return temporal.worker(
            client, task_queue=QUEUE, activities=activities.all(), build_id="packing"
        )

    return shop, worker


async def run(
    shop: Registry,
    body: Callable[[System], Awaitable[object]] | None = None,
    settings: Settings | None = None,
    observers: Sequence[Observer] = (),
) -> Report:
    """Run a system, see that it leaves no task, and give the report, also of one that fails."""
    report = None
    before = {task.id for task in anyio.get_running_tasks()}
    with anyio.fail_after(GENEROUS):
        try:
            async with lifecycle.running(shop, settings, observers=observers) as system:
                if body is not None:
                    await body(system)
                system.shut_down("the test is over")
                report = await system.closed()
        except RunError as error:
            report = error.report
            if report is None:
                raise
    left = [one.coro for one in anyio.get_running_tasks() if one.id not in before]
    assert [] == left
    return report


async def outcome_of(frontend: InThread, token: str) -> Outcome:
    """Wait for the outcome of an activity."""
    return await anyio.to_thread.run_sync(frontend.outcome, token, abandon_on_cancel=True)
