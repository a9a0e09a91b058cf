"""Tests in virtual time beside others, on backends that are computed from what is no backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio


class Kind:
    """What is no backend, but says which."""

    def __init__(self, backend: str) -> None:
        self.backend = backend


@pytest.fixture(scope="module", params=[Kind("asyncio"), Kind("trio")], ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param.backend


@pytest.fixture(scope="module")
async def began(anyio_backend: object) -> AsyncIterator[float]:
    yield anyio.current_time()  # noqa: PT022  as long as it lasts, the loop does


async def test_real(began: float, anyio_backend: object) -> None:
    assert anyio_backend in ("asyncio", "trio")
    assert began > 0


async def test_virtual(began: float, virtual_time: FakeClock) -> None:
    await anyio.sleep(1000)
    assert (began, virtual_time.now) == (0, 1000)


async def test_virtual_again(began: float, virtual_time: FakeClock) -> None:
    assert (began, virtual_time.now) == (0, 1000)
