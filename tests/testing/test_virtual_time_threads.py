"""Time stands still while a thread works.

In each of these tests time would be over by the time that the thread is done, if it went on.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

import lifecycle
from lifecycle import Lifetime, Registry, testing
from lifecycle.errors import StopError
from tests.testing.kit import ASYNCIO, in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def work() -> float:
    """Work for a while; returns the time at the end of it."""
    time.sleep(0.02)  # blocks on purpose: a thread that works is what is tested
    return testing.clock().now


async def asyncio_to_thread() -> float:
    """That of asyncio."""
    return await asyncio.to_thread(work)


async def default_executor() -> float:
    """The same, without its context."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def own_executor() -> float:
    """An executor that the event loop knows nothing of, but by the call."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, work)


async def resolve() -> float:
    """Names are looked up in the default executor."""
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    return testing.clock().now


async def trio_to_thread() -> float:
    """That of trio."""
    return await trio.to_thread.run_sync(work)


async def anyio_to_thread() -> float:
    """That of anyio."""
    return await anyio.to_thread.run_sync(work)


async def with_a_limiter() -> float:
    """A limiter of one's own."""
    return await anyio.to_thread.run_sync(work, limiter=anyio.CapacityLimiter(1))


ANYIO = [anyio_to_thread, with_a_limiter]
WAYS: list[Any] = [
    *(
        ("asyncio", way)
        for way in (*ANYIO, asyncio_to_thread, default_executor, own_executor, resolve)
    ),
    *(("trio", way) for way in (*ANYIO, trio_to_thread)),
]


@pytest.mark.parametrize(
    ("backend", "way"), [pytest.param(*one, id=f"{one[0]}-{one[1].__name__}") for one in WAYS]
)
def test_time_stands_still_while_a_thread_works(backend: str, way: Any) -> None:
    """However it was started; and goes on after that."""

    async def main() -> list[float]:
        times: list[float] = []

        async def tick() -> None:
            await anyio.sleep(0.5)
            times.append(testing.clock().now)

        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            with anyio.fail_after(0.25):
                times.append(await way())
        return times

    assert [0, 0.5] == in_virtual_time(backend, main)


def process() -> int:
    """Something for another process."""
    return 7


def test_time_stands_still_while_a_process_of_an_executor_works() -> None:
    """An executor of processes is one, too."""

    async def main() -> int:
        import multiprocessing  # noqa: PLC0415  only here

        spawned = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawned) as pool:
            loop = asyncio.get_running_loop()
            return await asyncio.wait_for(loop.run_in_executor(pool, process), 0.001)

    assert 7 == testing.run(main, patience=60)


def test_many_threads_at_once(backend: str) -> None:
    """More than there are in the pool."""

    async def main() -> float:
        with anyio.fail_after(0.001):
            async with anyio.create_task_group() as group:
                for _ in range(60):
                    group.start_soon(anyio.to_thread.run_sync, threading.get_ident)
        return testing.clock().now

    assert 0 == in_virtual_time(backend, main)


def test_who_waits_for_a_limiter_holds_nothing(backend: str) -> None:
    """It is not a thread that he waits for."""

    async def main() -> float:
        limiter = anyio.CapacityLimiter(1)

        async def borrow() -> None:
            async with limiter:
                await anyio.sleep(5)

        async with anyio.create_task_group() as group:
            group.start_soon(borrow)
            await testing.clock().advance(0)
            await anyio.to_thread.run_sync(int, limiter=limiter)
        return testing.clock().now

    assert 5 == in_virtual_time(backend, main)


def test_a_thread_that_is_abandoned_holds_nothing(backend: str) -> None:
    """Nobody waits for it any more."""
    ended = threading.Event()

    async def main() -> float:
        with anyio.CancelScope() as scope:

            async def cut() -> None:
                for _ in range(3):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()

            async with anyio.create_task_group() as group:
                group.start_soon(cut)
                await anyio.to_thread.run_sync(ended.wait, abandon_on_cancel=True)
        await anyio.sleep(5)
        # Another one holds it, as if there had been no other.
        assert await anyio.to_thread.run_sync(work) == 5
        return testing.clock().now

    try:
        assert 5 == in_virtual_time(backend, main)
    finally:
        ended.set()


# --- threads that wait ---------------------------------------------------------------------------


def test_a_thread_that_asks_the_loop_waits_for_it(backend: str) -> None:
    """What it asks for takes its time; then the thread works again, and time stands still."""

    def ask() -> list[float]:
        times = [anyio.from_thread.run(sleep, 2.0), work()]
        return [*times, anyio.from_thread.run(sleep, 3.0), work()]

    async def sleep(seconds: float) -> float:
        await anyio.sleep(seconds)
        return testing.clock().now

    async def main() -> list[float]:
        with anyio.fail_after(5.5):
            return await anyio.to_thread.run_sync(ask)

    assert [2, 2, 5, 5] == in_virtual_time(backend, main)


@pytest.mark.parametrize("backend", ASYNCIO)
def test_a_thread_that_runs_a_coroutine_threadsafe(backend: str) -> None:
    """It is taken to wait until that is done."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()

        def ask() -> float:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(2), loop).result()
            return work()

        return [await asyncio.to_thread(ask), await loop.run_in_executor(None, ask)]

    assert [2, 4] == in_virtual_time(backend, main)


def test_a_components_thread_that_asks_the_loop(backend: str) -> None:
    """It waits, too, although the event loop knows nothing of it."""
    shop, times = Registry("shop"), list[float]()

    async def main() -> None:
        token = trio.lowlevel.current_trio_token() if backend == "trio" else None
        loop = asyncio.get_running_loop() if backend != "trio" else None

        @shop.component
        def legacy() -> Iterator[int]:
            if loop is not None:
                asyncio.run_coroutine_threadsafe(anyio.sleep(2), loop).result()
            else:
                trio.from_thread.run(trio.sleep, 2, trio_token=token)
            times.append(work())
            yield 1

        async with lifecycle.running(shop):
            pass

    in_virtual_time(backend, main)
    assert [2] == times


def test_a_thread_that_is_blocked(backend: str) -> None:
    """It says so, and time goes on meanwhile."""

    async def main() -> list[float]:
        todo: queue.Queue[str] = queue.Queue()

        def wait() -> float:
            with testing.clock().blocked():
                todo.get()
            return 1

        async def bring() -> None:
            await anyio.sleep(5)
            todo.put("something")

        times: list[float] = []
        async with anyio.create_task_group() as group:
            group.start_soon(bring)
            times += [await anyio.to_thread.run_sync(wait), testing.clock().now]
        return times

    assert [1, 5] == in_virtual_time(backend, main)


def test_only_the_blocked_one_lets_time_go(backend: str) -> None:
    """Another thread that works holds it all the same, be the blocked one abandoned."""
    stuck = testing.Stuck()

    async def main() -> list[float]:
        with anyio.move_on_after(5) as scope:
            await anyio.to_thread.run_sync(stuck.block, abandon_on_cancel=True)
        assert scope.cancelled_caught
        times = [testing.clock().now]
        with anyio.fail_after(0.001):
            times.append(await anyio.to_thread.run_sync(work))
        return times

    try:
        assert [5, 5] == in_virtual_time(backend, main)
    finally:
        stuck.release()


def test_what_was_stuck_holds_time_from_its_release_on(backend: str) -> None:
    """To the moment: it works again."""
    stuck = testing.Stuck()

    def wait() -> float:
        stuck.block()
        return work()

    async def main() -> list[float]:
        times: list[float] = []

        async def waits() -> None:
            times.append(await anyio.to_thread.run_sync(wait))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(waits)
            await anyio.sleep(5)
            stuck.release()
            await anyio.sleep(1)
            times.append(testing.clock().now)
        await anyio.to_thread.run_sync(stuck.block)  # no longer
        stuck.release()  # again
        return times

    assert [5, 5, 5, 6] == in_virtual_time(backend, main)


def test_a_thread_that_is_not_blocked_any_more(backend: str) -> None:
    """However long it takes until it says so, that is no wait that nothing can end."""
    go_on = threading.Event()

    def wait() -> float:
        with testing.clock().blocked():
            go_on.wait()
            time.sleep(0.05)  # blocks on purpose: until the event loop has nothing more to do
        return work()

    async def main() -> list[float]:
        async def release() -> None:
            await anyio.sleep(1)
            go_on.set()

        times: list[float] = []
        async with anyio.create_task_group() as group:
            group.start_soon(release)
            times.append(await anyio.to_thread.run_sync(wait))
        return times

    assert [1] == in_virtual_time(backend, main)


def test_many_threads_are_blocked_and_released(backend: str) -> None:
    """None of what they say is lost on the event loop: it would wait for hours here."""

    async def main() -> float:
        for _ in range(50):
            stuck = testing.Stuck()
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(anyio.to_thread.run_sync, stuck.block)
                await anyio.sleep(1)
                stuck.release()
        return testing.clock().now

    assert 50 == in_virtual_time(backend, main, patience=3600)


def test_blocked_where_nobody_waits(backend: str) -> None:
    """A thread that holds nothing has nothing to let go of."""

    async def main() -> float:
        clock = testing.clock()

        def block() -> None:
            with clock.blocked():
                pass

        thread = threading.Thread(target=block)
        thread.start()
        await anyio.to_thread.run_sync(thread.join)
        await anyio.sleep(1)
        return clock.now

    assert 1 == in_virtual_time(backend, main)


def test_the_event_loop_is_not_to_be_blocked(backend: str) -> None:
    """That would block everything."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"blocked\(\) is for threads"):
            testing.clock().blocked()
        with pytest.raises(RuntimeError, match=r"blocked\(\) is for threads"):
            testing.Stuck().block()

    in_virtual_time(backend, main)


# --- the threads of components -------------------------------------------------------------------


def test_the_threads_of_components_hold_time(backend: str) -> None:
    """Sync hooks take no virtual time, so that they cannot run into a timeout."""
    shop, times = Registry("shop"), list[float]()

    @shop.component(start_timeout=0.001, stop_timeout=0.001)
    def legacy() -> Iterator[int]:
        times.append(work())
        yield 1
        times.append(work())

    async def main() -> None:
        async with lifecycle.running(shop):
            await anyio.sleep(7)

    in_virtual_time(backend, main)
    assert [0, 7] == times


def test_a_components_thread_that_waits_at_a_gate(backend: str) -> None:
    """It lets time go on until it is decided, and holds it again from then on."""
    shop, times = Registry("shop"), list[float]()

    @shop.component
    async def slow() -> AsyncIterator[str]:
        await anyio.sleep(3)
        yield "slow"

    @shop.component
    def legacy() -> str:
        value = Lifetime.current().system.gate(slow).wait_in_thread()
        times.append(work())
        return value

    async def main() -> str:
        async with lifecycle.running(shop) as system:
            return system[legacy]

    assert "slow" == in_virtual_time(backend, main)
    assert [3] == times


@pytest.mark.parametrize(
    ("released", "expected"),
    [(3.0, ["stopped at 3", "closed at 3"]), (100.0, ["closed at 6", "stopped at 100"])],
)
def test_what_waits_for_a_thread_that_is_blocked(
    backend: str, released: float, expected: list[str]
) -> None:
    """A stop, behind a check that hangs: time goes on, and stands still once it has its turn."""
    shop, stuck, noted = Registry("shop"), testing.Stuck(), list[str]()

    @shop.component(stop_timeout=5)
    def driver() -> Iterator[str]:
        yield "driver"
        noted.append(f"stopped at {work():g}")

    driver.check(lambda _: stuck.block())

    async def main() -> list[str]:
        async with anyio.create_task_group() as group:
            with contextlib.suppress(StopError):
                async with lifecycle.running(shop) as system:
                    group.start_soon(system.check)
                    await anyio.sleep(0.5)
                    group.start_soon(release)
                    system.shut_down()
                    await system.closed()
                    noted.append(f"closed at {testing.clock().now:g}")
        return noted

    async def release() -> None:
        await anyio.sleep(released - 0.5)
        stuck.release()

    assert expected == in_virtual_time(backend, main)
