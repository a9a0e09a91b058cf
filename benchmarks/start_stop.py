"""The CPU time to start and stop components that do nothing, against plain tasks and others.

Declaring and planning are not part of it; they are told apart, at the end.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import graphs, ours
from benchmarks.measuring import (
    Heading,
    Line,
    Stopwatch,
    column,
    in_turns,
    microseconds,
    on_loop,
    ratios,
    row,
)
from benchmarks.peers.plain import PlainTasks
from lifecycle import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from benchmarks.graphs import Graph
    from benchmarks.measuring import Sample

SIZES = (10, 100, 1_000, 10_000, 100_000)
QUICK = (10, 100)
LARGEST_OF_LIBRARIES = 1_000
"""asphalt takes time that grows with the square."""


def measure(*, quick: bool) -> Iterator[Line]:
    """Each shape in each size."""
    yield Heading("against plain anyio tasks, one scope each")
    for shape, make in graphs.SHAPES.items():
        for size in QUICK if quick else SIZES:
            graph = make(size)
            taken = in_turns(_repeats(size, quick=quick), of_ours(graph), of(graph, PlainTasks))
            each = microseconds(min(column(taken, 0)) / size)
            yield row(f"{shape} of {size}", ratios(taken), aim=1.0, note=f"{each} each")
    yield Heading("plain values, against the same number of plain tasks")
    for size in QUICK if quick else SIZES[:4]:
        graph = graphs.wide(size)
        values = of_ours(graph, kind="value")
        taken = in_turns(_repeats(size, quick=quick), values, of(graph, PlainTasks))
        each = microseconds(min(column(taken, 0)) / size)
        yield row(f"{size} values", ratios(taken), aim=1.0, note=f"{each} each")
    for library, peer in (("asphalt", "Asphalt"), ("aiomisc", "Aiomisc")):
        yield from _against(library, peer, quick=quick)
    yield Heading("declaring and planning, against start and stop")
    graph = graphs.layered(100 if quick else 1_000)
    taken = in_turns(3, partial(_declared, graph), partial(_planned, graph), of_ours(graph))
    for which, what in enumerate(("declare", "plan")):
        each = microseconds(min(column(taken, which)) / len(graph))
        yield row(what, ratios(taken, which, 2), note=f"{each} each")


def _against(library: str, peer: str, *, quick: bool) -> Iterator[Line]:
    yield Heading(f"against {library}")
    try:
        make: Any = getattr(importlib.import_module(f"benchmarks.peers.{library}"), peer)
    except ImportError:
        yield Heading("  it is not installed")
        return
    for shape in ("chain", "layered"):
        for size in (size for size in SIZES if size <= (10 if quick else LARGEST_OF_LIBRARIES)):
            graph = graphs.SHAPES[shape](size)
            taken = in_turns(_repeats(size, quick=quick), of_ours(graph), of(graph, make))
            each = microseconds(min(column(taken, 1)) / size)
            yield row(f"{shape} of {size}", ratios(taken), note=f"{library}: {each} each")


def _repeats(size: int, *, quick: bool) -> int:
    return 2 if quick else max(1, min(25, 30_000 // size))


def _rounds(size: int) -> int:
    """How often one sample does it, so that it takes long enough to be measured."""
    return max(1, 300 // size)


def of(graph: Graph, make: Callable[[Graph], AbstractAsyncContextManager[Any]]) -> Sample:
    """A sample: start and stop a graph once; those of a few components many times."""
    rounds = _rounds(len(graph))

    async def start_and_stop() -> float:
        made = [make(graph) for _ in range(rounds)]
        with Stopwatch() as watch:
            for each in made:
                async with each:
                    pass
        return watch.seconds / rounds

    return partial(on_loop, start_and_stop)


def of_ours(graph: Graph, kind: ours.Kind = "generator") -> Sample:
    """The same, of a system of ours."""
    plan = ours.registry(graph, kind=kind).plan(ours.SETTINGS)
    return of(graph, lambda _: running(plan, ours.SETTINGS))


def _declared(graph: Graph) -> float:
    with Stopwatch() as watch:
        ours.registry(graph)
    return watch.seconds


def _planned(graph: Graph) -> float:
    registry = ours.registry(graph)
    with Stopwatch() as watch:
        registry.plan(ours.SETTINGS)
    return watch.seconds
