"""A test in virtual time, where the backend is chosen for the whole session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

if TYPE_CHECKING:
    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "trio"


async def test_session(virtual_time: FakeClock) -> None:
    await anyio.sleep(1000)
    assert virtual_time.now == 1000
