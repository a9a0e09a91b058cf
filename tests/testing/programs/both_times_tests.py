"""Tests in virtual time among tests in real time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle import testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def began(anyio_backend: object) -> AsyncIterator[float]:
    yield anyio.current_time()  # noqa: PT022  as long as it lasts, the loop does


async def is_real() -> bool:
    try:
        testing.clock()
    except LookupError:
        began = time.monotonic()
        await anyio.sleep(0.01)
        return time.monotonic() - began >= 0.01
    return False


async def test_real(began: float, anyio_backend: object) -> None:
    assert anyio_backend in ("asyncio", "trio")
    assert await is_real()


async def test_virtual(began: float, virtual_time: FakeClock) -> None:
    assert began == virtual_time.now == 0
    assert not await is_real()


async def test_real_again(began: float) -> None:
    assert await is_real()
