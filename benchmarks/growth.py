"""How the time to start and stop grows with the number of components: a power law's exponent.

1 is linear. It is the slope of a line through the logarithms of both. The peer's, in the same run,
tells how much of it is the machine's: caches that become too small, and the garbage collector.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from benchmarks import graphs
from benchmarks.measuring import Heading, Line, Row, column, in_turns
from benchmarks.peers.plain import PlainTasks
from benchmarks.start_stop import of, of_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (100, 316, 1_000, 3_160, 10_000, 31_600, 100_000)
QUICK = (20, 40, 80)


def measure(*, quick: bool) -> Iterator[Line]:
    """Each shape."""
    yield Heading("exponents")
    sizes = QUICK if quick else SIZES
    for shape, make in graphs.SHAPES.items():
        times: list[tuple[float, float]] = []
        for size in sizes:
            graph = make(size)
            repeats = max(1, min(5, 10_000 // size))
            taken = in_turns(repeats, of_ours(graph), of(graph, PlainTasks))
            times.append((min(column(taken, 0)), min(column(taken, 1))))
        mine, peers = (exponent(sizes, column(times, which)) for which in (0, 1))
        yield Row(f"{shape}, {sizes[0]} to {sizes[-1]}", mine, aim=1.05, note=f"tasks: {peers:.2f}")


def exponent(sizes: tuple[int, ...], times: list[float]) -> float:
    """The slope of the line through the logarithms, by least squares."""
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(time) for time in times]
    ).slope
