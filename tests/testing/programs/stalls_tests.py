"""A test that stalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle import testing

if TYPE_CHECKING:
    from lifecycle.testing import FakeClock

pytestmark = pytest.mark.anyio


@pytest.mark.xfail(strict=True, raises=testing.StalledError)
async def test_it_stalls(virtual_time: FakeClock) -> None:
    await anyio.Event().wait()


async def test_the_next_one(virtual_time: FakeClock) -> None:
    await anyio.sleep(1)
