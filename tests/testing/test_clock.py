"""The clock that a test holds in its hands."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from lifecycle import testing
from lifecycle.testing import FakeClock
from tests.testing.kit import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable


def test_it_shows_the_time_of_the_loop(backend: str) -> None:
    """It begins at 0, and is what anyio, asyncio and trio say."""

    async def main() -> list[float]:
        clock = testing.clock()
        began = clock.now
        await anyio.sleep(0.1)
        native = trio.current_time() if backend == "trio" else asyncio.get_running_loop().time()
        return [began, clock.now, anyio.current_time(), native, testing.clock().now]

    assert [0, 0.1, 0.1, 0.1, 0.1] == in_virtual_time(backend, main)


def test_a_day_takes_no_time(backend: str) -> None:
    """A year of minutes, neither."""

    async def main() -> float:
        for _ in range(1000):
            await anyio.sleep(365.25 * 86_400)
        return testing.clock().now

    assert 1000 * 365.25 * 86_400 == in_virtual_time(backend, main)


def test_it_is_found_wherever_the_time_is(backend: str) -> None:
    """In callbacks, in child tasks, and in threads that work for one."""

    async def main() -> list[float]:
        times: list[float] = []
        await anyio.sleep(5)
        await anyio.to_thread.run_sync(lambda: times.append(testing.clock().now))
        async with anyio.create_task_group() as group:

            async def child() -> None:
                times.append(testing.clock().now)

            group.start_soon(child)
        if backend != "trio":
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: times.append(testing.clock().now))
            await loop.run_in_executor(None, lambda: times.append(testing.clock().now))
        return times

    assert [5] * (2 if backend == "trio" else 4) == in_virtual_time(backend, main)


def test_there_is_none_where_time_is_real(backend: str) -> None:
    """The error says what to do."""

    async def main() -> None:
        with pytest.raises(LookupError, match=r"time is real here: use lifecycle\.testing\.run"):
            testing.clock()

    if backend == "trio":
        trio.run(main)
    else:
        anyio.run(main)
    with pytest.raises(LookupError):
        testing.clock()


def test_it_says_what_time_it_is(backend: str) -> None:
    """For whoever prints it."""

    async def main() -> str:
        await anyio.sleep(2.5)
        return repr(testing.clock())

    assert "<FakeClock at 2.5 s>" == in_virtual_time(backend, main)
    assert "<FakeClock of the loop that runs>" == repr(FakeClock())


# --- advance -------------------------------------------------------------------------------------


def ticking(clock: FakeClock, log: list[str]) -> Callable[[str, float], Any]:
    """Make a task that writes down when it ticks."""

    async def tick(name: str, seconds: float) -> None:
        while True:
            await anyio.sleep(seconds)
            log.append(f"{clock.now:g} {name}")

    return tick


@pytest.mark.parametrize("auto", [True, False])
def test_advance_fires_what_is_due_in_order(backend: str, *, auto: bool) -> None:
    """Up to the last instant, and that included; then it returns."""

    async def main() -> list[str]:
        clock, log = testing.clock(), list[str]()
        clock.auto = auto
        async with anyio.create_task_group() as group:
            group.start_soon(ticking(clock, log), "three", 3)
            group.start_soon(ticking(clock, log), "two", 2.5)
            await clock.advance(1)
            log.append(f"{clock.now:g} advanced")
            await clock.advance(5)
            log.append(f"{clock.now:g} advanced")
            group.cancel_scope.cancel()
        return log

    assert [
        "1 advanced",
        "2.5 two",
        "3 three",
        "5 two",
        "6 three",
        "6 advanced",
    ] == in_virtual_time(backend, main)


@pytest.mark.parametrize("auto", [True, False])
def test_advance_lets_the_tasks_settle(backend: str, *, auto: bool) -> None:
    """What one wakes runs before time moves on, through as many tasks, and threads, as it takes."""

    async def main() -> list[str]:
        clock, log = testing.clock(), list[str]()
        clock.auto = auto
        send, receive = anyio.create_memory_object_stream[float](0)

        async def first() -> None:
            for _ in range(3):
                await anyio.sleep(1)
                await send.send(clock.now)

        async def second() -> None:
            async for time in receive:
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
                now = await anyio.to_thread.run_sync(lambda: clock.now)
                log.append(f"{time:g} {now:g}")

        async with anyio.create_task_group() as group, send, receive:
            group.start_soon(first)
            group.start_soon(second)
            await clock.advance(1)
            log.append("advanced")
            await clock.advance(2)
            group.cancel_scope.cancel()
        return log

    assert ["1 1", "advanced", "2 2", "3 3"] == in_virtual_time(backend, main)


def test_advance_by_nothing_lets_all_settle(backend: str) -> None:
    """And no time passes."""

    async def main() -> list[str]:
        clock, log = testing.clock(), list[str]()

        async def work() -> None:
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            log.append("settled")
            await anyio.sleep(1)
            log.append("never")

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await clock.advance(0)
            log.append(f"{clock.now:g}")
            group.cancel_scope.cancel()
        return log

    assert ["settled", "0"] == in_virtual_time(backend, main)


@pytest.mark.parametrize("auto", [True, False])
def test_several_advance_at_once(backend: str, *, auto: bool) -> None:
    """Each returns at its own time."""

    async def main() -> list[str]:
        clock, log = testing.clock(), list[str]()
        clock.auto = auto

        async def advance(seconds: float) -> None:
            await clock.advance(seconds)
            log.append(f"{clock.now:g} advanced by {seconds:g}")

        async with anyio.create_task_group() as group:
            for seconds in 3, 1, 2:
                group.start_soon(advance, seconds)
        return log

    assert [
        "1 advanced by 1",
        "2 advanced by 2",
        "3 advanced by 3",
    ] == in_virtual_time(backend, main)


def test_an_advance_can_be_cancelled(backend: str) -> None:
    """By a deadline before its time; time is not moved on by it afterwards."""

    async def main() -> float:
        clock = testing.clock()
        with anyio.move_on_after(2) as scope:
            await clock.advance(5)
        assert scope.cancelled_caught
        clock.auto = False
        await clock.advance(1)
        return clock.now

    assert 3 == in_virtual_time(backend, main)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_time_goes_forward(seconds: float) -> None:
    """By a finite number of seconds."""

    async def main() -> None:
        with pytest.raises(ValueError, match="time goes forward, by a finite number of seconds"):
            await testing.clock().advance(seconds)

    testing.run(main)


def test_time_that_does_not_move_by_itself(backend: str) -> None:
    """It stands still until it is advanced, or let go again."""

    async def main() -> list[object]:
        clock = testing.clock()
        clock.auto = False
        log: list[object] = [clock.auto]

        async def sleep() -> None:
            await anyio.sleep(10)
            log.append(clock.now)

        async with anyio.create_task_group() as group:
            group.start_soon(sleep)
            await clock.advance(9.5)
            log.append(clock.now)
            clock.auto = True
        return log

    assert [False, 9.5, 10] == in_virtual_time(backend, main)


def test_what_one_run_changes_is_not_there_in_the_next() -> None:
    """A backend that is used again begins as it was."""

    async def main() -> tuple[float, bool, float]:
        clock = testing.clock()
        begun = clock.now, clock.auto, clock.patience
        await anyio.sleep(1)
        clock.auto, clock.patience = False, 1
        return begun

    name, options = testing.backend("asyncio", patience=7)
    runs = [anyio.run(main, backend=name, backend_options=options) for _ in range(2)]
    _, options = testing.backend("trio", patience=7)
    runs += [trio.run(main, **options) for _ in range(2)]
    assert [(0, True, 7)] * 4 == runs
