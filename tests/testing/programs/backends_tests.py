"""Tests in virtual time, on backends of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio
SEEDS = [testing.backend("asyncio", seed=seed) for seed in range(2)]


class TestFunction:
    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    async def test_function(self, virtual_time: FakeClock, anyio_backend_name: str) -> None:
        await anyio.sleep(1000)
        assert (virtual_time.now, anyio_backend_name) == (1000, "asyncio")


class TestParams:
    @pytest.fixture(params=[("asyncio", {"debug": True}), "trio"], ids=["debug", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    async def test_params(self, virtual_time: FakeClock) -> None:
        await anyio.sleep(1000)
        assert virtual_time.now == 1000


@pytest.mark.parametrize("anyio_backend", SEEDS, ids=["0", "1"])
async def test_seeds(virtual_time: FakeClock) -> None:
    await anyio.sleep(1000)
    assert virtual_time.now == 1000


class TestOptions:
    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> Iterator[Any]:
        yield request.param, {"debug": True} if request.param == "asyncio" else {}
        assert request.param in ("asyncio", "trio")

    async def test_options(self, virtual_time: FakeClock, anyio_backend_name: str) -> None:
        await anyio.sleep(1000)
        assert virtual_time.now == 1000
        if anyio_backend_name == "asyncio":
            assert asyncio.get_running_loop().get_debug()
