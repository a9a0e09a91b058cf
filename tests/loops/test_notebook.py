"""A system in a notebook, in a real kernel."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.kit import GENEROUS, running

PROGRAM = Path(__file__).parent / "programs" / "notebook.py"


def test_within_a_cell_and_from_cell_to_cell() -> None:
    """`running` in one cell; `apart` where others use it before it ends. Nothing is left."""
    with running(sys.executable, PROGRAM) as process:
        assert process.wait(2 * GENEROUS) == 0
    assert process.lines[-5:] == [
        "the database",
        "database closed",
        "the database running",
        "clean",
        "[]",
    ]
