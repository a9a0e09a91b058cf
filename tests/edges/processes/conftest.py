from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.processes import group
from tests.e2e.kit import GENEROUS
from tests.edges.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(
    params=[("asyncio", {}), ("asyncio", {"use_uvloop": True}), ("trio", {})],
    ids=["asyncio", "uvloop", "trio"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test on every event loop."""
    return request.param


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """Give a FIFO that the programs of the test hold open."""
    witness = Witness(tmp_path / "witness")
    yield witness
    witness.close()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no machine that has much else to do for one on which the killed do not end."""
    monkeypatch.setattr(group, "_KILL_GRACE", GENEROUS)
