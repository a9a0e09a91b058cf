"""A test that is not async."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle import testing

if TYPE_CHECKING:
    from lifecycle.testing import FakeClock


def test_sync(virtual_time: FakeClock) -> None:
    with pytest.raises(LookupError, match="time is real here"):
        _ = virtual_time.now

    async def main() -> float:
        await anyio.sleep(5)
        return virtual_time.now

    assert testing.run(main) == 5
