"""``lifecycle drain``: have a service that runs shut down, and leave rotation, for preStop."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from lifecycle.cli import asking
from lifecycle.errors import one_line

if TYPE_CHECKING:
    import argparse

TARGET = None
HELP = "have a service that runs shut down, and wait until nobody is sent to it any more"
DESCRIPTION = """\
Ask a service that runs to shut down, from the same machine: it is not ready from then on, serves
for its drain delay, and is drained and closed after that. Returns when the delay is over, and
websockets were told to end: in a preStop hook, SIGTERM comes then, and changes nothing any more.
Exit code 0, or 1 if it was not done. The service has to answer probes: LIFECYCLE_PROBES=:8081, or
Settings.probes.
"""

_OK: Final = range(200, 300)
_LAST_WORD: Final = 1.0
"""What the drain needs to tell websockets that they end, in seconds: a server that gets SIGTERM
before that drops them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    asking.add_arguments(parser)


def command(options: argparse.Namespace) -> int:
    """Ask for it, wait, and return 0 or 1.

    Raises:
        SettingsError: the address is none.

    """
    host, port = asking.address(options.address)
    try:
        code, answer = asking.ask(host, port, "/drain", options.timeout, method="POST")
    except (OSError, ValueError) as error:
        place = asking.written(host, port)
        sys.stderr.write(f"lifecycle: no answer from {place}: {one_line(error)}\n")
        return 1
    if code not in _OK:
        sys.stderr.write(f"lifecycle: not drained ({code}): {answer.get('error')}\n")
        return 1
    delay: float = answer["delay_left"]
    last_word = _LAST_WORD if answer["phase"] in ("delaying", "draining") else 0.0
    sys.stdout.write(f"drain: {answer['phase']}, {delay:.1f} s left: {answer['reason']}\n")
    sys.stdout.flush()
    time.sleep(delay + last_word)  # blocks on purpose: whoever calls this sends SIGTERM after it
    return 0
