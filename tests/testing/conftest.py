"""Runs each test that takes a `backend` on every one that has virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testing.kit import BACKENDS

if TYPE_CHECKING:
    import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `backend` its values, where the test has none of its own."""
    own = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    if "backend" in metafunc.fixturenames and not any("backend" in names for names in own):
        metafunc.parametrize("backend", BACKENDS)
