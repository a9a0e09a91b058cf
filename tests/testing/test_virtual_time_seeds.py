"""The same seed gives the same interleaving, another one another."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import lifecycle
from lifecycle import Registry, requires, testing
from lifecycle.errors import StartError
from tests.testing.kit import ASYNCIO, in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SEEDS = range(30)


async def race() -> str:
    """Tasks that may go on in any order, several times, by several means."""
    log: list[str] = []
    event, lock = anyio.Event(), anyio.Lock()

    async def run(name: str) -> None:
        log.append(name)
        await anyio.lowlevel.checkpoint()
        log.append(name)
        async with lock:
            log.append(name)
            await anyio.sleep(0.5)
        await event.wait()
        log.append(name)
        await anyio.sleep(1)
        log.append(name)

    async with anyio.create_task_group() as group:
        for name in "abcd":
            group.start_soon(run, name)
        await anyio.sleep(10)
        event.set()
    return "".join(log)


@pytest.mark.parametrize("backend", ASYNCIO)
def test_a_seed_decides(backend: str) -> None:
    """The same one does the same each time; many do different things."""
    runs = [in_virtual_time(backend, race, seed=seed) for seed in SEEDS]

    assert runs == [in_virtual_time(backend, race, seed=seed) for seed in SEEDS]
    assert len(set(runs)) > len(SEEDS) / 2


@pytest.mark.parametrize("backend", ASYNCIO)
def test_without_a_seed_it_is_first_come_first_served(backend: str) -> None:
    """As always on asyncio."""
    assert "abcd" * 5 == in_virtual_time(backend, race).replace("aabbccdd", "abcdabcd")


def test_neither_hashes_nor_addresses_decide() -> None:
    """Another process does the same."""
    program = (
        "from lifecycle import testing\n"
        "from tests.testing.test_virtual_time_seeds import race\n"
        "print(*[testing.run(race, seed=seed) for seed in (None, 1, 2, 3)])\n"
    )

    def run(hashes: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    here = " ".join(testing.run(race, seed=seed) for seed in (None, 1, 2, 3))
    assert [here, here] == [run("1").strip(), run("2").strip()]


@pytest.mark.parametrize("backend", ASYNCIO)
@pytest.mark.parametrize("seed", SEEDS)
def test_callbacks_stay_in_order(backend: str, seed: int) -> None:
    """Which asyncio promises of `call_soon`; and so a queue stays one."""

    async def main() -> list[int]:
        loop, log = asyncio.get_running_loop(), list[int]()
        queue: asyncio.Queue[int] = asyncio.Queue()

        async def take() -> None:
            while True:
                log.append(await queue.get())

        task = asyncio.create_task(take())
        for number in range(10):
            loop.call_soon(queue.put_nowait, number)
        loop.call_later(0, queue.put_nowait, 10)
        await asyncio.sleep(1)
        task.cancel()
        return log

    assert list(range(11)) == in_virtual_time(backend, main, seed=seed)


@pytest.mark.parametrize("backend", ASYNCIO)
@pytest.mark.parametrize("seed", range(10))
def test_a_method_of_a_task_is_a_callback(backend: str, seed: int) -> None:
    """It is called in its turn, and is no step of the task."""

    async def main() -> list[str]:
        task = asyncio.create_task(asyncio.sleep(1), name="before")
        loop, log, context = asyncio.get_running_loop(), list[str](), contextvars.copy_context()
        loop.call_soon(task.set_name, "after", context=context)
        loop.call_soon(lambda: log.append(task.get_name()))
        await task
        return log

    assert ["after"] == in_virtual_time(backend, main, seed=seed)


@pytest.mark.parametrize("backend", ASYNCIO)
@pytest.mark.parametrize("seed", range(5))
def test_a_late_task_keeps_its_context(backend: str, seed: int) -> None:
    """What it has set is there when it goes on."""
    variable = contextvars.ContextVar("variable", default=0)

    async def main() -> list[int]:
        async def count() -> int:
            for _ in range(20):
                variable.set(variable.get() + 1)
                await asyncio.sleep(0)
            return variable.get()

        return list(await asyncio.gather(count(), count()))

    assert [20, 20] == in_virtual_time(backend, main, seed=seed)


@pytest.mark.parametrize("seed", range(10))
def test_time_is_the_same_for_every_seed(backend: str, seed: int) -> None:
    """Late tasks are late by turns of the loop, and not by any time."""

    async def main() -> float:
        await race()
        return testing.clock().now

    assert 11 == in_virtual_time(backend, main, seed=seed)


@pytest.mark.parametrize("seed", range(10))
def test_a_cancellation_finds_a_late_task(backend: str, seed: int) -> None:
    """As it would find one on a loop that is busy."""

    async def main() -> bool:
        with anyio.move_on_after(1) as scope:
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(anyio.sleep, 1)
                await anyio.sleep(1)
                await anyio.sleep(1)
        return scope.cancelled_caught

    assert in_virtual_time(backend, main, seed=seed)


# --- systems -------------------------------------------------------------------------------------


def hooks(backend: str, **options: Any) -> list[str]:
    """Run a system of parts that may start and stop at the same time; gives its hooks in order."""
    shop, log = Registry("shop"), list[str]()

    def part(name: str, *parts: Any) -> Any:
        async def life(parts: object = lifecycle.requires_all(parts)) -> AsyncIterator[str]:
            log.append(f"{name} starts")
            await anyio.sleep(1)
            yield name
            log.append(f"{name} stops")

        return shop.component(life, name=name)

    first = [part(name) for name in "abc"]
    for name in "xyz":
        part(name, *first)

    async def main() -> None:
        async with lifecycle.running(shop):
            pass

    in_virtual_time(backend, main, **options)
    return log


def test_a_seed_decides_which_hook_is_called_first(backend: str) -> None:
    """On trio too, which rolls a die of its own for everything else."""
    runs = [hooks(backend, seed=seed) for seed in range(10)]

    assert runs == [hooks(backend, seed=seed) for seed in range(10)]
    assert len({tuple(run) for run in runs}) > 3


def test_no_seed_breaks_the_order_that_is_declared(backend: str) -> None:
    """What requires something starts after it, and stops before it."""
    for seed in SEEDS:
        run = hooks(backend, seed=seed)
        starts, stops = run[:6], run[6:]
        assert set(starts[:3]) == {"a starts", "b starts", "c starts"}
        assert set(stops[:3]) == {"x stops", "y stops", "z stops"}


def test_without_a_seed_hooks_are_called_in_the_order_of_registration(backend: str) -> None:
    """As in real time, on trio too."""
    starts = [f"{name} starts" for name in "abcxyz"]
    stops = [f"{name} stops" for name in "zyxcba"]
    assert [*starts, *stops] == hooks(backend)


@pytest.mark.parametrize("seed", range(10))
def test_a_hook_that_is_cancelled_before_its_turn(backend: str, seed: int) -> None:
    """It has its turn all the same, and those after it have theirs."""
    shop, log = Registry("shop"), list[str]()

    @shop.component
    async def first() -> AsyncIterator[str]:
        yield "first"
        log.append("first stops")

    for name in "abc":

        async def fail(first: str = requires(first)) -> None:
            raise LookupError

        shop.component(fail, name=name)

    async def main() -> None:
        with pytest.raises(StartError):
            async with lifecycle.running(shop):
                log.append("never")

    in_virtual_time(backend, main, seed=seed)
    assert ["first stops"] == log


def test_hooks_get_their_turn_where_something_always_moves(backend: str) -> None:
    """On trio they are let in when nothing else moves, but they do not wait for that for ever."""
    shop = Registry("shop")

    @shop.component
    async def one() -> AsyncIterator[int]:
        yield 1

    @shop.component
    async def two(one: int = requires(one)) -> AsyncIterator[int]:
        yield 2

    async def main() -> None:
        async def always() -> None:
            while True:
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(always)
            async with lifecycle.running(shop):
                pass
            group.cancel_scope.cancel()

    in_virtual_time(backend, main, seed=1)
