"""Tests in virtual time, with anyio's plugin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

import lifecycle
from lifecycle import testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def three_later(virtual_time: FakeClock) -> AsyncIterator[float]:
    await anyio.sleep(3)
    yield virtual_time.now
    await anyio.sleep(86_400)


@pytest.fixture
async def system(virtual_time: FakeClock) -> AsyncIterator[float]:
    shop = lifecycle.Registry("shop")

    @shop.component(start_timeout=0.001)
    def legacy() -> Iterator[float]:
        time.sleep(0.02)  # blocks on purpose: sync code takes its time
        yield testing.clock().now

    async with lifecycle.running(shop) as running:
        yield running[legacy]


async def test_time_is_virtual(virtual_time: FakeClock) -> None:
    await anyio.sleep(86_400)
    assert virtual_time.now == anyio.current_time() == 86_400


async def test_it_goes_on_from_a_fixture(virtual_time: FakeClock, three_later: float) -> None:
    assert three_later == virtual_time.now == 3
    await virtual_time.advance(2)
    assert virtual_time.now == 5


async def test_a_fixture_is_enough(three_later: float) -> None:
    assert three_later == 3


async def test_threads_hold_it(virtual_time: FakeClock, system: float) -> None:
    assert system == 0
    with anyio.fail_after(0.001):
        await anyio.to_thread.run_sync(time.sleep, 0.02)


class TestMethods:
    async def test_method(self, three_later: float) -> None:
        assert three_later == 3
