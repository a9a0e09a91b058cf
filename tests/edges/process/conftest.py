from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.integrations.process import _ears, _knocking, _log
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


@pytest.fixture
def impatient() -> None:
    """Leave threads, and the killed, as little time to end as they have outside of tests."""


@pytest.fixture(autouse=True)
def _patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no machine that has much else to do for one that hangs."""
    if "impatient" not in request.fixturenames:
        for module in (_ears, _log):
            monkeypatch.setattr(module, "_PATIENCE", GENEROUS)
        monkeypatch.setattr(_knocking, "_ATTEMPT", GENEROUS)
        monkeypatch.setattr(group, "_KILL_GRACE", GENEROUS)


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "lifecycle.process")
