"""What the programs of end-to-end tests say, so that tests can wait for it and compare it."""

from __future__ import annotations

import sys


def say(*words: object) -> None:
    """Write a line that begins with ``> ``, in one piece, whatever other threads write."""
    sys.stdout.write(f"> {' '.join(map(str, words))}\n")
