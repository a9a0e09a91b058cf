"""Tests on backends that are virtual from the start, made of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import testing

if TYPE_CHECKING:
    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return testing.backend(request.param, patience=7)


async def test_beside() -> None:
    await anyio.sleep(1000)
    assert testing.clock().patience == 7


async def test_virtual(virtual_time: FakeClock) -> None:
    await anyio.sleep(1000)
    assert (virtual_time.now, virtual_time.patience) == (1000, 7)
