from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.edges.temporal.frontend import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.edges.temporal.frontend import InThread


@pytest.fixture(
    params=[("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test wherever Temporal's SDK runs."""
    return request.param


@pytest.fixture
def frontend() -> Iterator[InThread]:
    """Give a Temporal of its own to a test."""
    with serving() as frontend:
        yield frontend
