"""Many runs, on all loops: ``nox -s chaos -- N``.

``--sabotage`` breaks the engine on purpose instead, in one way after the other, and sees that the
runs notice.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from tests.chaos import sabotages
from tests.chaos.searching import LOOPS, search


def main() -> None:
    """Search, and exit with 1 where something was found."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=10_000, help="on each loop")
    parser.add_argument("--seed", help="by default another one each time; it is printed")
    parser.add_argument("--first", type=int, default=0, help="the number of the first run")
    parser.add_argument("--loop", choices=LOOPS, action="append", help="by default all")
    parser.add_argument("--sabotage", action="store_true", help="break the engine on purpose")
    parser.add_argument("--as-it-is", action="store_true", help="make what fails no smaller")
    given = parser.parse_args()
    if given.sabotage:
        sys.exit(sabotages.main())
    seed = given.seed or f"{random.getrandbits(32):08x}"
    failed = False
    for loop in given.loop or LOOPS:
        began, outcomes = time.process_time(), Counter[str]()
        numbers = range(given.first, given.first + given.runs)
        found = search(seed, loop, numbers, outcomes, smallest=not given.as_it_is)
        took = time.process_time() - began
        print(f"{loop}: seed {seed!r}, {outcomes.total()} runs, {took:.0f} s of CPU")
        print(f"  {dict(outcomes.most_common())}", flush=True)
        if found is not None:
            failed = True
            print(found, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
