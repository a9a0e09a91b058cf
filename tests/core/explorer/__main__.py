"""Explores the machine from the command line, and says how much there was: ``nox -s explore``."""

from __future__ import annotations

import argparse
import pickle
import time
from pathlib import Path

from tests.core.explorer import situations
from tests.core.explorer.comparing import compare
from tests.core.explorer.exploring import Exploration
from tests.core.explorer.graphs import graphs

_NOW_AND_THEN = 60.0


def main() -> None:
    """Explore every graph up to a size, smaller ones first."""
    parser = argparse.ArgumentParser(prog="explorer", description=__doc__)
    parser.add_argument("--size", type=int, default=4, help="how many components, at most")
    parser.add_argument("--share", type=share, default=(0, 1), metavar="I/N", help="do one of N")
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="go on from there when begun anew"
    )
    parser.add_argument("--compare", action="store_true", help="test the reductions instead")
    given = parser.parse_args()
    if given.compare:
        compare_up_to(given.size)
    else:
        Run(Exploration(*given.share), given.keep).explore_up_to(given.size)


def share(text: str) -> tuple[int, int]:
    """Read ``1/2``: the first of two."""
    number, _, of = text.partition("/")
    return int(number) - 1, int(of)


class Run:
    """An exploration that may be interrupted, and says now and then how far it has come."""

    def __init__(self, exploration: Exploration, kept: Path | None) -> None:
        """Begin, or go on."""
        self.exploration = exploration
        self._kept = kept
        self._done: set[str] = set()
        self._before = 0.0
        self._last = time.process_time()
        if kept is not None and kept.exists():
            # Written by ourselves.
            memory = pickle.loads(kept.read_bytes())  # noqa: S301
            exploration.met, exploration.steps, self._done, self._before, numbers = memory
            situations.numbers.update(numbers)

    def explore_up_to(self, size: int) -> None:
        """Explore every graph up to a size."""
        for number in range(1, size + 1):
            of_size = list(graphs(number))
            for count, graph in enumerate(of_size, start=1):
                if str(graph) not in self._done:
                    self.exploration.explore(graph)
                    self._done.add(str(graph))
                if count == len(of_size) or time.process_time() > self._last + _NOW_AND_THEN:
                    self._say(f"{count} of {len(of_size)} graphs of {number}")
                    self._keep()

    def _say(self, what: str) -> None:
        met, steps = len(self.exploration.met), self.exploration.steps
        seconds = self._before + time.process_time()
        print(f"{what}: {met:,} situations, {steps:,} steps, {seconds:.0f} s", flush=True)

    def _keep(self) -> None:
        self._last = time.process_time()
        if self._kept is not None:
            seconds = self._before + time.process_time()
            explored = self.exploration
            memory = explored.met, explored.steps, self._done, seconds, situations.numbers
            new = self._kept.with_suffix(".new")
            new.write_bytes(pickle.dumps(memory))
            new.replace(self._kept)


def compare_up_to(size: int) -> None:
    """Find each step of an exploration without reductions in the reduced one."""
    for number in range(1, size + 1):
        for graph in graphs(number):
            met = compare(graph, holds=2 if number == 1 else 1)
            print(f"{graph}: {met:,} situations, {time.process_time():.0f} s", flush=True)


if __name__ == "__main__":
    main()
