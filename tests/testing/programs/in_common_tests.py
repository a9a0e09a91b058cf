"""Tests that have a time in common, on backends that are virtual from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio
BACKENDS = [testing.backend("asyncio"), testing.backend("trio")]


@pytest.fixture(scope="module", params=BACKENDS, ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
async def began(anyio_backend: object) -> AsyncIterator[float]:
    yield anyio.current_time()  # noqa: PT022  as long as it lasts, the loop does


async def test_beside(began: float) -> None:
    await anyio.sleep(1000)


async def test_virtual(began: float, virtual_time: FakeClock) -> None:
    assert (began, virtual_time.now) == (0, 1000)
