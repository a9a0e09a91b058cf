"""A system that is entered by one task, and left by another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import trio
import uvloop

from lifecycle import Lifetime, Outcome, Registry
from lifecycle.apart import apart
from lifecycle.errors import CrashedError, StartError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from lifecycle import System

    Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine as others do, with an event loop that is theirs."""
    function: Run = request.param
    return function


class Shop:
    """A system that tells what happens in it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.registry = Registry("shop")
        self.crash = asyncio.Event()
        self.database = self.registry.component(self._database, name="database")
        self.registry.service(self._orders, name="orders", requires=[self.database])

    async def _database(self) -> AsyncIterator[str]:
        yield "the database"
        self.said.append("database closed")

    async def _orders(self, life: Lifetime) -> None:
        life.started()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._break)
            await life.wait_draining()
            tasks.cancel_scope.cancel()
        self.said.append("orders drained")

    async def _break(self) -> None:
        await self.crash.wait()
        message = "orders are broken"
        raise OSError(message)


async def in_a_task(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Await something in a task of its own."""
    return await asyncio.ensure_future(coroutine)


def test_its_ends_are_in_different_tasks(run: Run) -> None:
    """It is there from the one to the other, and nothing is left behind."""

    async def main() -> None:
        shop = Shop()
        runs = apart(shop.registry)
        system = await in_a_task(runs.__aenter__())
        assert "the database" == system[shop.database]
        assert [] == shop.said
        await in_a_task(runs.__aexit__(None, None, None))
        assert ["orders drained", "database closed"] == shop.said
        assert Outcome.CLEAN is system.report.outcome
        assert {asyncio.current_task()} == asyncio.all_tasks()

    run(main())


def test_a_crash_is_raised_at_the_other_end(run: Run) -> None:
    """Meanwhile nobody is cancelled: who runs there belongs to somebody else."""

    async def main() -> None:
        shop = Shop()
        runs = apart(shop.registry)
        system: System = await in_a_task(runs.__aenter__())
        shop.crash.set()
        await system.closed()
        with pytest.raises(CrashedError, match="'orders' crashed"):
            await in_a_task(runs.__aexit__(None, None, None))

    run(main())


def test_it_does_not_wait_for_its_other_end(run: Run) -> None:
    """Asked to shut down in between, it has closed by then."""

    async def main() -> None:
        shop = Shop()
        async with apart(shop.registry) as system:
            system.shut_down("enough")
            report = await system.closed()
            assert Outcome.CLEAN is report.outcome
            assert "enough" == report.reason

    run(main())


def test_an_error_in_between_leaves_as_it_is(run: Run) -> None:
    """With a note about whatever went wrong in the system."""

    async def main() -> None:
        shop = Shop()

        async def fail() -> None:
            async with apart(shop.registry) as system:
                shop.crash.set()
                await system.closed()
                raise KeyError("mine")

        with pytest.raises(KeyError) as raised:
            await fail()
        (note,) = getattr(raised.value, "__notes__", [])
        assert "also: CrashedError: 'orders' crashed" in note

    run(main())


def test_what_cannot_start(run: Run) -> None:
    """It is raised at the first end, and there is no other."""

    async def main() -> None:
        shop = Shop()

        @shop.registry.component(requires=[shop.database])
        async def broken() -> None:
            message = "nobody there"
            raise OSError(message)

        with pytest.raises(StartError, match="nobody there"):
            await in_a_task(apart(shop.registry).__aenter__())
        assert "database closed" == shop.said[-1]
        assert {asyncio.current_task()} == asyncio.all_tasks()

    run(main())


def test_cancelled_while_it_starts(run: Run) -> None:
    """What had started is stopped before the cancellation goes on."""

    async def main() -> None:
        shop = Shop()
        starts = asyncio.Event()

        @shop.registry.component(requires=[shop.database])
        async def slow() -> None:
            starts.set()
            await anyio.sleep_forever()

        entering = asyncio.ensure_future(apart(shop.registry).__aenter__())
        await starts.wait()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert "database closed" == shop.said[-1]
        assert {asyncio.current_task()} == asyncio.all_tasks()

    run(main())


def test_it_is_entered_once(run: Run) -> None:
    """As `running` is."""

    async def main() -> None:
        runs = apart(Registry("shop"))
        async with runs:
            with pytest.raises(RuntimeError, match="was entered before"):
                await runs.__aenter__()

    run(main())


def test_what_was_not_entered_cannot_be_left(run: Run) -> None:
    """That is said, and is no assertion of ours."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="was not entered, and cannot be left"):
            await apart(Registry("shop")).__aexit__(None, None, None)

    run(main())


def test_on_trio() -> None:
    """There is no task without a nursery: it says what to do instead."""

    async def main() -> None:
        async with apart(Registry("shop")):
            pass

    with pytest.raises(RuntimeError, match=r"in one of yours, by `lifecycle.running\(…\)`"):
        trio.run(main)


def test_an_interrupt_is_raised_where_it_is_left(run: Run) -> None:
    """It does not end the event loop, which is somebody else's."""

    async def main() -> str:
        shop = Registry("shop")

        @shop.service
        async def orders(life: Lifetime) -> None:
            life.started()
            await anyio.lowlevel.checkpoint()
            raise KeyboardInterrupt

        system = apart(shop)
        running = await system.__aenter__()
        await running.wait_draining()
        with pytest.raises(KeyboardInterrupt):
            await system.__aexit__(None, None, None)
        return "the loop goes on"

    assert "the loop goes on" == run(main())
