"""Runs only the tests of some rules: ``pytest -p tests.rules.only --rule D4``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the option."""
    parser.addoption("--rule", action="append", default=[], help="run only tests of this rule")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of other rules, and of none."""
    wanted = set[str](config.getoption("--rule") or ())
    chosen = [
        item for item in items if any(wanted & {*mark.args} for mark in item.iter_markers("rule"))
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
