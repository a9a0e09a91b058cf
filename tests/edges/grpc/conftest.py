from __future__ import annotations

from typing import Any

import pytest

from tests.edges.grpc.kit import ON_ASYNCIO


@pytest.fixture(params=[*ON_ASYNCIO.values(), ("trio", {})], ids=[*ON_ASYNCIO, "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test on every event loop; modules about ``grpc.aio`` have less of them."""
    return request.param
