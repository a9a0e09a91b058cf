"""Ratios, measured so that a busy machine is the same for both sides.

Ours and the peer's run in turns, in one process, each right after the other; who is first changes
each time. One turn gives one ratio. What is told is their median, and between what and what the
half of them lies that is next to it.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import anyio
import attrs
from typing_extensions import Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

Sample: TypeAlias = Callable[[], float]
"""Does something once, and says how many seconds that took."""


@attrs.frozen
class Row:
    """One line of a table."""

    what: str
    ratio: float
    low: float | None = None
    """A quarter of the ratios are below; none where there is but one."""
    high: float | None = None
    aim: float | None = None
    """What the ratio is to be at most; none where it is only told."""
    note: str = ""
    """What it was in seconds, say."""

    @property
    def holds(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        return None if self.aim is None else self.ratio <= self.aim


@attrs.frozen
class Heading:
    """What the lines that follow are about."""

    text: str


Line: TypeAlias = Row | Heading


def row(what: str, ratios: Sequence[float], *, aim: float | None = None, note: str = "") -> Row:
    """Sum ratios up."""
    if len(ratios) == 1:
        return Row(what, ratios[0], aim=aim, note=note)
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Row(what, middle, low, high, aim, note)


def in_turns(repeats: int, *samples: Sample) -> list[tuple[float, ...]]:
    """Take one sample of each, again and again; the order turns round each time."""
    taken: list[tuple[float, ...]] = []
    for turn in range(repeats):
        order = range(len(samples)) if turn % 2 == 0 else reversed(range(len(samples)))
        times = dict.fromkeys(order, 0.0)
        for which in times:
            gc.collect()
            times[which] = samples[which]()
        taken.append(tuple(times[which] for which in range(len(samples))))
    return taken


def column(taken: Iterable[tuple[float, ...]], which: int) -> list[float]:
    """All samples of one."""
    return [times[which] for times in taken]


def ratios(taken: Iterable[tuple[float, ...]], ours: int = 0, peer: int = 1) -> list[float]:
    """One ratio for each turn."""
    return [times[ours] / times[peer] for times in taken]


def on_loop(do: Callable[[], Awaitable[float]], backend: str = "asyncio") -> float:
    """Run a sample on an event loop of its own."""

    async def main() -> float:
        return await do()

    return anyio.run(main, backend=backend)


class Stopwatch:
    """The CPU time of a ``with``; others on the machine use none of it."""

    seconds = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.seconds = time.process_time() - self._began


_MILLISECOND = 1e-3


def microseconds(seconds: float) -> str:
    """Write a duration down."""
    return f"{seconds * 1e6:.3g} µs" if seconds < _MILLISECOND else f"{seconds * 1e3:.3g} ms"
