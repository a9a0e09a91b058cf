from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(
    params=[("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test on every event loop that uvicorn runs on."""
    return request.param
