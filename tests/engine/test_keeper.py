"""The keeper: alarms, and what wakes one task."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle._engine.loop import Alarm, Keeper, Loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.engine.kit import Life


def keep(life: Life, body: Callable[[Keeper], Awaitable[None]]) -> None:
    """Run something beside a keeper."""

    async def main() -> None:
        keeper = Keeper(Loop())
        async with anyio.create_task_group() as group:
            group.start_soon(keeper.run)
            await body(keeper)
            keeper.end()

    life.run(main)


def test_alarms_ring_in_the_order_of_their_times_and_then_of_being_set(life: Life) -> None:
    """Whether they were set before the keeper slept, while it did, or by another alarm."""

    def at_five() -> None:
        life.note("e")
        keeper_of[0].at(2, lambda: life.note("late"))

    keeper_of: list[Keeper] = []

    async def body(keeper: Keeper) -> None:
        keeper_of.append(keeper)
        begin = anyio.current_time()
        keeper.at(begin + 9, lambda: life.note("f"))
        keeper.at(begin + 5, lambda: life.note("c"))
        await anyio.sleep(1)
        keeper.at(begin + 5, lambda: life.note("d"))
        keeper.at(begin + 3, lambda: life.note("b"))
        await anyio.sleep(1)
        keeper.at(begin + 2.5, lambda: life.note("a"))
        keeper.at(begin + 5, at_five)
        await anyio.sleep(10)

    keep(life, body)
    assert ["2.5 a", "3 b", "5 c", "5 d", "5 e", "5 late", "9 f"] == life.log


def test_an_alarm_that_is_cancelled_does_not_ring(life: Life) -> None:
    """Before the keeper has seen it, after that, and when another one of its time rings."""

    async def body(keeper: Keeper) -> None:
        begin = anyio.current_time()
        keeper.at(begin + 1, lambda: life.note("before"))
        seen = keeper.at(begin + 3, lambda: life.note("seen"))
        keeper.at(begin + 2, lambda: life.note("not seen")).cancel()
        await anyio.sleep(1.5)
        seen.cancel()
        last: list[Alarm] = []

        def cancel_the_last() -> None:
            last[0].cancel()

        keeper.at(begin + 4, cancel_the_last)
        last.append(keeper.at(begin + 4, lambda: life.note("last")))
        await anyio.sleep(10)

    keep(life, body)
    assert ["1 before"] == life.log


def test_alarms_that_are_cancelled_soon_leave_nothing_behind(life: Life) -> None:
    """Each hook sets one, and most hooks end long before their time."""

    async def body(keeper: Keeper) -> None:
        keeper.at(anyio.current_time() + 60, lambda: None)
        await anyio.sleep(1)
        for _ in range(1000):
            keeper.at(anyio.current_time() + 30, lambda: None).cancel()
        life.note(f"{_alarms(keeper)} left")

    keep(life, body)
    assert ["1 1 left"] == life.log


def _alarms(keeper: Keeper) -> int:
    """How many of its alarms there are; what others have left may go at any time."""
    gc.collect()
    return sum(
        isinstance(one, Alarm) and one._new is keeper._new  # noqa: SLF001  whose it is
        for one in gc.get_objects()
    )


def test_a_bell_wakes_whoever_waits_then_or_later(life: Life) -> None:
    """Rung twice it is no different; a wait that was cancelled is over, and can be rung."""

    async def main() -> None:
        loop = Loop()
        early, later, cancelled = loop.new_bell(), loop.new_bell(), loop.new_bell()
        early.set()
        early.set()
        await early.wait()
        life.note("early")

        async def wait() -> None:
            await later.wait()
            life.note("later")

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(1)
            later.set()
            later.set()
        with anyio.move_on_after(1):
            await cancelled.wait()
        cancelled.set()
        life.note("cancelled")

    life.run(main)
    assert ["0 early", "1 later", "2 cancelled"] == life.log


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_what_is_posted_to_a_loop_that_has_gone_is_refused(loop: str) -> None:
    """Also where the keeper could not come to its end: nobody is left waiting for an answer."""

    async def main() -> Keeper:
        return Keeper(Loop())

    keeper = anyio.run(main, backend=loop)

    assert not keeper.post(list)
