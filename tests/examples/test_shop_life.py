"""The life of the example service, tested as its users would: in virtual time, in milliseconds."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from config import Config
from jobs import Jobs
from orders import Orders
from parts import config, database, jobs, packing, shop

from lifecycle import Lifetime, Limits, Outcome, Registry, Settings, System, requires, testing
from lifecycle.testing import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

ON_BOTH = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class SlowOrders(Orders):
    """A table of orders that take twenty seconds to pack."""

    async def pack(self, order: int) -> None:
        """Pack one."""
        await anyio.sleep(20)
        await super().pack(order)


def slow_database() -> Iterator[Orders]:
    """Take the place of the database."""
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        yield SlowOrders(connection)


async def flaky_jobs(life: Lifetime) -> AsyncIterator[Jobs]:
    """Take the place of the queue: ten seconds after its start it is lost, for ninety."""

    async def lose() -> None:
        await anyio.sleep(10)
        life.unavailable("the broker is lost")
        await anyio.sleep(90)
        life.available()

    with contextlib.closing(Jobs()) as jobs:
        async with anyio.create_task_group() as group:
            group.start_soon(lose)
            yield jobs
            group.cancel_scope.cancel()


@pytest.fixture
def tested(tmp_path: Path) -> Registry:
    """Give the shop without its web server, which talks to the world, and a folder of its own."""
    # Whoever has imported the module `web` has added the server to the shop.
    parts = shop.only(packing).without_preflight()
    return parts.override(config.to(Config("127.0.0.1", 0, tmp_path)))


@ON_BOTH
def test_the_whole_life(backend: Any, tested: Registry) -> None:
    """In this order it starts, and in reverse it ends."""
    life = testing.live(tested, backend=backend)

    assert (
        life.transcript
        == """
        0 = starting
        0 config starts
        0 config started
        0 jobs starts
        0 database starts
        0 jobs started
        0 database started
        0 packing starts
        0 packing started
        0 = running
        1 asked to shut down: the body has ended
        1 = draining
        1 packing drains
        1 packing drained
        1 jobs drains
        1 database drains
        1 jobs drained
        1 database drained
        1 config drains
        1 config drained
        1 = closing
        1 packing stops
        1 packing stopped
        1 jobs stops
        1 database stops
        1 jobs stopped
        1 database stopped
        1 config stops
        1 config stopped
        1 = closed
        1 closed: clean, 0
        """
    )


@ON_BOTH
@pytest.mark.parametrize("broken", [database, jobs, packing], ids=lambda one: one.name)
def test_what_cannot_start_ends_it_all(backend: Any, tested: Registry, broken: Any) -> None:
    """Cleanly: what had started is stopped, and the exit code says it."""
    life = testing.live(tested, backend=backend, faults=[faults.fail(broken, at="start")])

    assert life.report is not None
    assert (Outcome.START_FAILED, 69) == (life.report.outcome, life.report.exit_code)
    assert f"'{broken.name}' did not start: InjectedError" in str(life.error)
    assert [] == life.broken_promises


@ON_BOTH
@pytest.mark.parametrize(
    "fault",
    [
        lambda: faults.crash(jobs, after=0.5),
        lambda: faults.crash(packing, after=0.5),
        lambda: faults.hang(packing, at="drain"),
        lambda: faults.hang(database, at="stop"),
    ],
    ids=["jobs crash", "packing crashes", "packing hangs", "database hangs"],
)
def test_what_breaks_does_no_harm_to_the_others(
    backend: Any, tested: Registry, fault: Callable[[], faults.Fault]
) -> None:
    """The end comes within the grace period, and everything else is in order."""
    life = testing.live(tested, backend=backend, faults=[fault()])

    assert life.report is not None
    assert life.report.exit_code in (70, 75)
    assert [] == life.broken_promises


@ON_BOTH
def test_a_job_of_20_s_is_finished_within_a_grace_period_of_25_s(
    backend: Any, tested: Registry
) -> None:
    """A real SIGTERM's policy, in the middle of it."""
    registry = tested.override(database.made_by(slow_database))
    settings = Settings(grace_period=25, close_reserve=2, limits={packing: Limits(drain=22)})
    life = testing.running(registry, settings)

    async def script() -> tuple[int, int]:
        async with life as system:
            system[jobs].put(await system[database].add("a book"))
            await anyio.sleep(1)
            system.signal(signal.SIGTERM)
            await system.wait_draining()
            await anyio.sleep(19.5)
            return await system[database].count()

    assert (1, 1) == testing.run(script, backend=backend)
    assert "1 asked to shut down: received SIGTERM" in life.transcript
    assert "20 packing drained" in life.transcript
    assert life.report is not None
    assert Outcome.CLEAN is life.report.outcome


@ON_BOTH
def test_a_lost_broker_takes_the_shop_out_of_rotation_and_back(
    backend: Any, tested: Registry
) -> None:
    """For ninety seconds it is not ready, and nothing stops."""
    ready: list[tuple[float, bool]] = []

    async def body(system: System) -> None:
        for _ in range(12):
            ready.append((anyio.current_time(), system.status().ready))
            await anyio.sleep(10.5)

    life = testing.live(tested.override(jobs.made_by(flaky_jobs)), body, backend=backend)

    assert [False] * 9 == [is_ready for time, is_ready in ready if 10 < time < 100]
    assert all(is_ready for time, is_ready in ready if not 10 < time < 100)
    assert "10 jobs is unavailable: the broker is lost" in life.transcript
    assert "100 jobs is available" in life.transcript
    assert [] == life.broken_promises


@ON_BOTH
def test_an_hour_of_a_periodic_task(backend: Any, tested: Registry) -> None:
    """It counts the orders once a minute, sixty times, and ends when it is asked to."""
    counts: list[float] = []
    with_stocktaking = Registry("shop with stocktaking")
    with_stocktaking.include(tested)

    @with_stocktaking.service
    async def stocktaking(life: Lifetime, orders: Orders = requires(database)) -> None:
        life.started()
        while await life.sleep(60):
            await orders.count()
            counts.append(anyio.current_time())

    async def an_hour(system: System) -> None:
        await anyio.sleep(3601)

    life = testing.live(with_stocktaking, an_hour, backend=backend)
    assert [60.0 * number for number in range(1, 61)] == counts
    assert "3601 closed: clean, 0" in life.transcript
