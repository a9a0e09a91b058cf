"""Tests in virtual time, with pytest-asyncio."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from lifecycle import testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def three_later(virtual_time: FakeClock) -> AsyncIterator[float]:
    await asyncio.sleep(3)
    yield virtual_time.now
    await asyncio.sleep(86_400)


async def test_time_is_virtual(virtual_time: FakeClock) -> None:
    await asyncio.sleep(86_400)
    assert virtual_time.now == asyncio.get_running_loop().time() == 86_400


async def test_it_goes_on_from_a_fixture(virtual_time: FakeClock, three_later: float) -> None:
    assert three_later == virtual_time.now == 3
    await virtual_time.advance(2)
    assert virtual_time.now == 5


async def test_real() -> None:
    with pytest.raises(LookupError):
        testing.clock()
    began = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - began >= 0.01


@pytest.mark.xfail(strict=True, raises=testing.StalledError)
async def test_it_stalls(virtual_time: FakeClock) -> None:
    await asyncio.Event().wait()


@pytest.mark.asyncio(loop_scope="class")
class TestInOneLoop:
    async def test_first(self, virtual_time: FakeClock) -> None:
        await asyncio.sleep(10)
        assert virtual_time.now == 10

    async def test_second(self, virtual_time: FakeClock) -> None:
        assert virtual_time.now == 10
