from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.edges.systemd.kit import Receiver
from tests.engine.conftest import life, pytest_generate_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["anyio_backend", "life", "pytest_generate_tests", "receiver"]


@pytest.fixture(
    params=[("asyncio", {}), ("asyncio", {"use_uvloop": True}), ("trio", {})],
    ids=["asyncio", "uvloop", "trio"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each async test on every event loop."""
    return request.param


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """Give what takes datagrams."""
    receiver = Receiver(str(tmp_path / "notify"))
    yield receiver
    receiver.close()
