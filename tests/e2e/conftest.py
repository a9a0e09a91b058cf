from __future__ import annotations

import pytest


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
