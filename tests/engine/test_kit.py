from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from lifecycle import Registry, System, requires

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.engine.kit import Life


def test_time_is_virtual(life: Life) -> None:
    """A day passes at once, and what is due is done at its time."""
    shop = Registry("shop")

    @shop.component(start_timeout=100_000)
    async def slow() -> AsyncIterator[int]:
        await anyio.sleep(80_000)
        yield 1
        await anyio.sleep(1.5)

    async def body(system: System) -> None:
        life.note("body")
        await anyio.sleep(6400)

    life.live(shop, body, observers=[life.observe])
    assert [
        "0 = starting",
        "0 slow starts",
        "80000 slow started",
        "80000 = running",
        "80000 body",
        "86400 asked to shut down: the body has ended",
        "86400 = draining",
        "86400 slow drains",
        "86400 slow drained",
        "86400 = closing",
        "86400 slow stops",
        "86401.5 slow stopped",
        "86401.5 = closed",
        "86401.5 closed: clean, 0",
    ] == life.log


def test_time_stands_still_while_a_thread_works(life: Life) -> None:
    """Sync code takes no virtual time, so it cannot run into a timeout."""
    shop = Registry("shop")

    @shop.component(start_timeout=0.1, stop_timeout=0.1)
    def legacy() -> Iterator[int]:
        time.sleep(0.2)  # blocks on purpose: a thread that works is what is tested
        yield 1
        time.sleep(0.2)  # blocks on purpose: likewise, at its stop

    @shop.component
    async def ticking(legacy: int = requires(legacy)) -> AsyncIterator[int]:
        await anyio.sleep(1)
        yield 2

    async def body(system: System) -> None:
        life.note("body")

    assert life.live(shop, body).error is None
    assert ["1 body"] == life.log


def test_time_goes_on_while_a_thread_is_stuck(life: Life) -> None:
    """A thread that says that it is stuck runs into its timeout."""
    shop, stuck = Registry("shop"), life.stuck()

    @shop.component(stop_timeout=3)
    def legacy() -> Iterator[int]:
        yield 1
        stuck.block()

    async def body(system: System) -> None:
        async def release() -> None:
            await anyio.sleep(10)
            life.note("release")
            stuck.release()

        async with anyio.create_task_group() as group:
            group.start_soon(release)
            system.shut_down()
            await system.closed()
            life.note("closed")

    lived = life.live(shop, body)
    assert ["3.5 closed", "10 release"] == life.log
    assert lived.report is not None
    assert ["legacy"] == [abandoned.component for abandoned in lived.report.abandoned]
