"""Explores the machine from the command line, and says how much there was: ``nox -s explore``."""

from __future__ import annotations

import argparse
import time

from tests.core.explorer.comparing import compare
from tests.core.explorer.exploring import Exploration
from tests.core.explorer.graphs import graphs


def main() -> None:
    """Explore every graph up to a size, smaller ones first."""
    parser = argparse.ArgumentParser(prog="explorer", description=__doc__)
    parser.add_argument("--size", type=int, default=4, help="how many components, at most")
    parser.add_argument("--share", type=share, default=(0, 1), metavar="I/N", help="do one of N")
    parser.add_argument("--compare", action="store_true", help="test the reductions instead")
    given = parser.parse_args()
    if given.compare:
        compare_up_to(given.size)
    else:
        explore_up_to(given.size, Exploration(*given.share))


def share(text: str) -> tuple[int, int]:
    """Read ``1/2``: the first of two."""
    number, _, of = text.partition("/")
    return int(number) - 1, int(of)


def explore_up_to(size: int, exploration: Exploration) -> None:
    """Explore, and say now and then how far it has come."""
    for number in range(1, size + 1):
        of_size = list(graphs(number))
        last = 0.0
        for count, graph in enumerate(of_size, start=1):
            exploration.explore(graph)
            if count == len(of_size) or time.process_time() > last + 30:
                last = time.process_time()
                say(f"{count} of {len(of_size)} graphs of {number}", exploration)


def say(what: str, exploration: Exploration) -> None:
    """Say how much was looked at."""
    met, steps, seconds = len(exploration.met), exploration.steps, time.process_time()
    print(f"{what}: {met:,} situations, {steps:,} steps, {seconds:.0f} s", flush=True)


def compare_up_to(size: int) -> None:
    """Find each step of an exploration without reductions in the reduced one."""
    for number in range(1, size + 1):
        for graph in graphs(number):
            met = compare(graph, holds=2 if number == 1 else 1)
            print(f"{graph}: {met:,} situations, {time.process_time():.0f} s", flush=True)


if __name__ == "__main__":
    main()
