"""That each rule of the design has tests, and that ARCHITECTURE.md says where they are."""

from __future__ import annotations

import pytest

from tests.rules.finding import ROOT, changed_rules, files_of_rules
from tests.rules.rules import RULES
from tests.rules.sabotages import SABOTAGES, Sabotage
from tests.rules.table import table, written


def test_each_rule_has_a_test() -> None:
    """Nobody has to believe a rule."""
    assert set() == set(RULES) - set(files_of_rules())


def test_each_id_is_that_of_a_rule() -> None:
    """No test holds, and no decision changes, what no rule says."""
    assert set() == {*files_of_rules(), *changed_rules()} - set(RULES)


def test_the_table_is_up_to_date() -> None:
    """ARCHITECTURE.md says where the tests of each rule are; `nox -s rules` writes it anew."""
    assert table() == written()


def test_each_rule_is_broken_on_purpose() -> None:
    """That its tests would notice is tried out for every rule, by `nox -s sabotage`."""
    assert set() == set(RULES) - {sabotage.rule for sabotage in SABOTAGES}


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=str)
def test_each_sabotage_can_be_done(sabotage: Sabotage) -> None:
    """What it replaces is there, once. Where that was changed, the sabotage has to be as well."""
    assert 1 == (ROOT / "src" / "lifecycle" / sabotage.file).read_text("utf-8").count(sabotage.text)
