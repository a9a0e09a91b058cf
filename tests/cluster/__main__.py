"""Roll everything over, and print what became of the requests, as a table: ``nox -s rolling``.

A cell says how many failed of how many. What was retried, and why what failed did, goes to stderr.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, Final

import anyio

from tests.cluster.rolling import roll
from tests.cluster.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cluster.rolling import Outcome

KINDS: Final = ("on new", "on kept", "of 3 s", "streams", "websockets")


def row(cells: Sequence[str]) -> str:
    """Write one line of the table."""
    first, *others = cells
    return f"| {first:<38} | " + " | ".join(f"{cell:>12}" for cell in others) + " |"


def cells(name: str, outcome: Outcome) -> list[str]:
    """Say what became of a target."""
    counts = [outcome.counts.get(kind) for kind in KINDS]
    return [
        name,
        f"{outcome.failed} of {outcome.sent}",
        *("" if one is None else f"{one.sent - one.answered} of {one.sent}" for one in counts),
        f"{outcome.killed} of {len(outcome.exit_codes)}",
    ]


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(description="Rolling restarts under load.")
    parser.add_argument("--restarts", type=int, default=10, help="how many of each")
    parser.add_argument("names", nargs="*", help="which, such as 'uvicorn, host'; by default all")
    options = parser.parse_args()
    # However it is ended, no pod is left behind: nox interrupts, CI terminates, and a shell has
    # what runs in the background ignore interrupts.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    targets = [target for target in TARGETS if target.name in (options.names or [target.name])]
    print(row(["", "failed", *KINDS, "killed"]))
    print(row([":---", *["---:"] * (len(KINDS) + 2)]), flush=True)
    for target in targets:
        outcome = anyio.run(roll, target, options.restarts)
        print(row(cells(target.name, outcome)), flush=True)
        for kind, counts in outcome.counts.items():
            print(f"{target.name}, {kind}: {counts}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
