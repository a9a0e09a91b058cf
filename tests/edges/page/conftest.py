from __future__ import annotations

import pytest

from tests.engine.kit import BACKENDS, Life


@pytest.fixture(params=BACKENDS)
def life(request: pytest.FixtureRequest) -> Life:
    """Run a system on each backend, in virtual time."""
    return Life(request.param)
