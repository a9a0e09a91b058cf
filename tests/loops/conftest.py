from __future__ import annotations

import pytest


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Give the event loop that a program is to run on."""
    name: str = request.param
    return name
