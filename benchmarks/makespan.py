"""How long a start, and a stop, take as a whole, against their critical paths; real time.

60 components that take 10 to 50 ms each way, in random graphs, of which each is run by all, in
turns. Of each the least time counts: a machine that does something else only ever adds to it.
"""

from __future__ import annotations

import importlib
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import graphs, ours
from benchmarks.measuring import Heading, Line, column, in_turns, on_loop, row
from benchmarks.peers.bare import BareTasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.graphs import Graph

COMPONENTS, QUICK = 60, 12
SHORTEST, LONGEST = 0.010, 0.050


def measure(*, quick: bool) -> Iterator[Line]:
    """The start and the stop of ours, of bare tasks, of asphalt."""
    makers: dict[str, Callable[..., Any]] = {"lifecycle": ours.system, "bare tasks": BareTasks}
    try:
        asphalt: Any = importlib.import_module("benchmarks.peers.asphalt")
        makers["asphalt"] = asphalt.Asphalt
    except ImportError:
        yield Heading("asphalt is not installed")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in makers}
    for seed in range(2 if quick else 8):
        graph = graphs.scattered(QUICK if quick else COMPONENTS, seed)
        dice = random.Random(seed)  # noqa: S311  to be the same each time
        starts = [dice.uniform(SHORTEST, LONGEST) for _ in graph]
        stops = [dice.uniform(SHORTEST, LONGEST) for _ in graph]
        paths = critical_paths(graph, starts, stops)
        spans: dict[str, list[tuple[float, float]]] = {name: [] for name in makers}
        samples = [
            partial(_sample, spans[name], partial(make, graph, starts, stops))
            for name, make in makers.items()
        ]
        in_turns(1 if quick else 6, *samples)
        for name, taken in spans.items():
            start, stop = (min(column(taken, which)) for which in (0, 1))
            found[name].append((start / paths[0], stop / paths[1]))
    for which, what in enumerate(("start", "stop")):
        yield Heading(f"{what}, against the critical path")
        for name, spanned in found.items():
            yield row(
                name, [each[which] for each in spanned], aim=1.05 if name == "lifecycle" else None
            )
        yield row(
            "lifecycle, against bare tasks",
            [
                mine[which] / theirs[which]
                for mine, theirs in zip(found["lifecycle"], found["bare tasks"], strict=True)
            ],
            aim=1.01,
        )


def critical_paths(graph: Graph, starts: list[float], stops: list[float]) -> tuple[float, float]:
    """How long the start, and the stop, have to take."""
    return graphs.critical_path(graph, starts), graphs.critical_path_of_stop(graph, stops)


def _sample(spans: list[tuple[float, float]], make: Callable[[], Any]) -> float:
    async def start_and_stop() -> float:
        system = make()
        began = time.perf_counter()
        async with system:
            ready = time.perf_counter()
        ended = time.perf_counter()
        spans.append((ready - began, ended - ready))
        return ended - began

    return on_loop(start_and_stop)
