"""A test that asks for virtual time when there is a loop already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.lowlevel
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def wide(anyio_backend: str) -> AsyncIterator[None]:
    yield  # noqa: PT022  as long as it lasts, the loop does


@pytest.mark.xfail(strict=True, raises=pytest.fail.Exception)
async def test_late(wide: None, virtual_time: FakeClock) -> None:
    raise AssertionError


async def test_real(wide: None) -> None:
    await anyio.lowlevel.checkpoint()
