"""Runs each test that takes a `life` as those of the engine are run: in virtual time."""

from __future__ import annotations

import pytest

from tests.edges.opentelemetry.kit import Traces
from tests.engine.conftest import life, pytest_generate_tests

__all__ = ["life", "pytest_generate_tests"]


@pytest.fixture
def traces() -> Traces:
    """A tracer provider that keeps everything."""
    return Traces()
