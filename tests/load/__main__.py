"""Runs tests again and again, with busy processes beside them: ``nox -s load -- 20``.

A test that fails once in twenty runs is broken, and a machine that is idle hides that. ::

    nox -s load -- 20                           # the whole suite
    nox -s load -- 200 tests/engine             # some of it
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ON_ALL_CORES = ("--numprocesses=auto", "--dist=loadfile", "--no-loadscope-reorder")


def main() -> None:
    """Run them, and exit with 1 where any run failed."""
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=20, help="how often")
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="how many busy processes")
    given, of_pytest = parser.parse_known_args()
    failed = 0
    with busy(given.busy):
        for number in range(1, given.times + 1):
            began = time.monotonic()
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", *_ON_ALL_CORES, *of_pytest],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            minutes = (time.monotonic() - began) / 60
            last = ran.stdout.rstrip().rpartition("\n")[2].strip("= ")
            print(f"{number} of {given.times}, {minutes:.1f} min: {last}", flush=True)
            if ran.returncode:
                failed += 1
                print(ran.stdout, flush=True)
    print(f"{failed} of {given.times} runs failed")
    sys.exit(failed > 0)


@contextlib.contextmanager
def busy(number: int) -> Iterator[None]:
    """Have so many processes compute, each as much as it can."""
    spinning = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(number)]
    for process in spinning:
        process.start()
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.join()


def _spin() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()
