"""What `hold` costs, against a plain call, and against `anyio.CapacityLimiter`.

CPU time of a coroutine that does nothing, awaited within each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from benchmarks import graphs, ours
from benchmarks.measuring import (
    Heading,
    Line,
    Sample,
    Stopwatch,
    column,
    in_turns,
    microseconds,
    on_loop,
    ratios,
    row,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from lifecycle import System

CALLS, QUICK = 20_000, 200


def measure(*, quick: bool) -> Iterator[Line]:
    """On both backends."""
    calls = QUICK if quick else CALLS
    for backend in ("asyncio", "trio"):
        yield Heading(backend)
        samples = [_sample(backend, calls, each) for each in (plain, limited, scoped, held)]
        taken = in_turns(3 if quick else 15, *samples)
        notes = [microseconds(min(column(taken, which))) for which in range(4)]
        yield row("against a plain call", ratios(taken, 3, 0), note=f"{notes[3]} to {notes[0]}")
        yield row(
            "against a CapacityLimiter",
            ratios(taken, 3, 1),
            aim=1.0,
            note=f"{notes[3]} to {notes[1]}",
        )
        yield row("against a CancelScope", ratios(taken, 3, 2), note=f"{notes[3]} to {notes[2]}")


async def work() -> None:
    """Do nothing."""


async def plain(calls: int) -> float:
    """Just call it."""
    with Stopwatch() as watch:
        for _ in range(calls):
            await work()
    return watch.seconds


async def limited(calls: int) -> float:
    """Under a limit, as a worker pool would be."""
    limiter = anyio.CapacityLimiter(10)
    with Stopwatch() as watch:
        for _ in range(calls):
            async with limiter:
                await work()
    return watch.seconds


async def scoped(calls: int) -> float:
    """In a scope, without which no work could be cut off."""
    with Stopwatch() as watch:
        for _ in range(calls):
            with anyio.CancelScope():
                await work()
    return watch.seconds


async def held(calls: int) -> float:
    """In flight."""
    async with ours.system(graphs.wide(1)) as system:
        return await _held(system, calls)


async def _held(system: System, calls: int) -> float:
    with Stopwatch() as watch:
        for _ in range(calls):
            with system.hold("work"):
                await work()
    return watch.seconds


def _sample(backend: str, calls: int, each: Callable[[int], Awaitable[float]]) -> Sample:
    async def once() -> float:
        return await each(calls) / calls

    return lambda: on_loop(once, backend)
