"""How the time to start and stop grows with the number of components: a power law's exponent.

1 is linear. It is the slope of a line through the logarithms of both. The peer's, in the same run,
tells how much of it is the machine's: caches that become too small, and the garbage collector,
which looks at everything that lives already. So each shape is measured twice; the aim is for what
is ours, without the collector.
"""

from __future__ import annotations

import contextlib
import gc
import math
import statistics
from typing import TYPE_CHECKING

from benchmarks import graphs
from benchmarks.measuring import Heading, Line, Row, Sample, column, in_turns
from benchmarks.peers.plain import PlainTasks
from benchmarks.start_stop import of, of_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (100, 316, 1_000, 3_160, 10_000, 31_600, 100_000)
QUICK = (20, 40, 80)


def measure(*, quick: bool) -> Iterator[Line]:
    """Each shape."""
    sizes = QUICK if quick else SIZES
    for title, wrapped, aim in (
        ("exponents, without the garbage collector", _uncollected, 1.05),
        ("exponents, with it", _as_it_is, None),
    ):
        yield Heading(title)
        for shape in graphs.SHAPES:
            ours, peers = (exponent(sizes, times) for times in _times(shape, sizes, wrapped))
            yield Row(
                f"{shape}, {sizes[0]} to {sizes[-1]}", ours, aim=aim, note=f"tasks: {peers:.2f}"
            )


def _times(
    shape: str, sizes: tuple[int, ...], wrapped: Callable[[Sample], Sample]
) -> tuple[list[float], list[float]]:
    """How long each size takes: us, and the peer."""
    ours: list[float] = []
    peers: list[float] = []
    for size in sizes:
        graph = graphs.SHAPES[shape](size)
        repeats = max(1, min(5, 10_000 // size))
        taken = in_turns(repeats, wrapped(of_ours(graph)), wrapped(of(graph, PlainTasks)))
        ours.append(min(column(taken, 0)))
        peers.append(min(column(taken, 1)))
    return ours, peers


def _as_it_is(sample: Sample) -> Sample:
    return sample


def _uncollected(sample: Sample) -> Sample:
    def take() -> float:
        with _collector_off():
            return sample()

    return take


@contextlib.contextmanager
def _collector_off() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def exponent(sizes: tuple[int, ...], times: list[float]) -> float:
    """The slope of the line through the logarithms, by least squares."""
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(time) for time in times]
    ).slope
