"""Runs each test that takes a `life` on every backend."""

from __future__ import annotations

import pytest

from tests.engine.kit import BACKENDS, Life


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `backend` its values: uvloop, which has no virtual time, only where it is asked for."""
    if "life" in metafunc.fixturenames:
        on_uvloop = metafunc.definition.get_closest_marker("uvloop") is not None
        metafunc.parametrize("backend", (*BACKENDS, "uvloop") if on_uvloop else BACKENDS)


@pytest.fixture
def life(backend: str) -> Life:
    """What runs systems on the backend, and keeps the transcript."""
    return Life(backend)
