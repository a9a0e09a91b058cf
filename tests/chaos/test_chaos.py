"""Thousands of systems at random, in which anything may go wrong at any time.

What must hold of each is in `oracle`. A run that breaks it is made smaller and printed, to be
pasted into `test_found`; ``nox -s chaos -- N`` does N runs on each loop, and more than here.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.chaos.sabotages import SABOTAGES
from tests.chaos.searching import LOOPS, search
from tests.rules.finding import ROOT

if TYPE_CHECKING:
    from tests.chaos.stage import Loop
    from tests.rules.sabotages import Sabotage

RUNS = {"asyncio": 600, "eager": 600, "uvloop": 400, "trio": 600}
"""How many runs there are on each loop, of some 5 to 7 ms."""


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=str)
def test_each_sabotage_can_be_done(sabotage: Sabotage) -> None:
    """What it replaces is there, once; that it is noticed, ``nox -s chaos -- --sabotage`` shows."""
    text = (ROOT / "src" / "lifecycle" / sabotage.file).read_text("utf-8")
    assert 1 == text.count(sabotage.text)


@pytest.mark.parametrize("loop", LOOPS)
def test_whatever_goes_wrong(loop: Loop) -> None:
    """The promises are kept."""
    seed = os.environ.get("LIFECYCLE_CHAOS_SEED", "the same each time")
    outcomes: Counter[str] = Counter()

    found = search(seed, loop, range(RUNS[loop]), outcomes)

    print(f"seed {seed}: {dict(outcomes)}")  # noqa: T201  shown where it fails
    assert found is None, str(found)
    assert {"clean", "start failed", "crashed", "incomplete", "forced"} <= set(outcomes)
