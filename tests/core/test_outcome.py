from __future__ import annotations

import itertools
from typing import Any

import attrs
import pytest

from lifecycle._core.outcome import Verdict
from lifecycle.states import ExitCode, Outcome

BY_PRECEDENCE: list[tuple[dict[str, Any], int]] = [
    ({"forced_by": 2}, 130),
    ({"interrupted": True}, 130),
    ({"asked_code": 3}, 3),
    ({"preflight_code": 127}, 127),
    ({"start_failed": True}, ExitCode.UNAVAILABLE),
    ({"crashed": True}, ExitCode.CRASHED),
    ({"incomplete": True}, ExitCode.INCOMPLETE),
    ({}, ExitCode.OK),
]
ALONE = {
    "forced_by": Outcome.FORCED,
    "start_failed": Outcome.START_FAILED,
    "crashed": Outcome.CRASHED,
    "incomplete": Outcome.INCOMPLETE,
}


@pytest.mark.parametrize("field", ALONE)
def test_each_outcome(field: str) -> None:
    """One thing that went wrong is one outcome."""
    fields: dict[str, Any] = {field: 15 if field == "forced_by" else True}

    assert ALONE[field] is Verdict(**fields).outcome


@pytest.mark.parametrize("field", ["interrupted", "asked_code", "preflight_code"])
def test_what_was_asked_for_is_clean(field: str) -> None:
    """A code, or an interrupt, is no outcome of its own."""
    fields: dict[str, Any] = {field: 1}

    assert Outcome.CLEAN is Verdict(**fields).outcome


def test_clean() -> None:
    """Nothing went wrong: clean, 0."""
    assert (Outcome.CLEAN, 0) == (Verdict().outcome, Verdict().exit_code)


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.combinations(range(len(BY_PRECEDENCE)), 2))
)
def test_precedence_of_codes(first: int, second: int) -> None:
    """Of two codes that apply, the one that stands first in the manual is taken."""
    fields, code = BY_PRECEDENCE[first]

    assert code == Verdict(**{**BY_PRECEDENCE[second][0], **fields}).exit_code


@pytest.mark.parametrize(("signal", "code"), [(2, 130), (15, 143), (3, 131)])
def test_forced_is_128_and_the_signal(signal: int, code: int) -> None:
    """A forced end has the code that a shell gives to what a signal killed."""
    assert code == Verdict(forced_by=signal).exit_code


def test_precedence_of_outcomes() -> None:
    """A forced end hides all; a failed start or a crash hide that work was cut off."""
    all_of_it = Verdict(forced_by=2, start_failed=True, crashed=True, incomplete=True)

    assert Outcome.FORCED is all_of_it.outcome
    assert Outcome.START_FAILED is attrs.evolve(all_of_it, forced_by=None).outcome
    assert Outcome.CRASHED is Verdict(crashed=True, incomplete=True).outcome
