from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.stores.servers import NATS, POSTGRES, REDIS, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stores.servers import Kind, Server


def _server(kind: Kind) -> Iterator[Server]:
    reason = kind.why_not()
    if reason is not None and not os.environ.get("CI"):
        pytest.skip(reason)
    assert reason is None, reason
    with prepared(kind) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Give a PostgreSQL, not started."""
    yield from _server(POSTGRES)


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    """Give a Redis, not started."""
    yield from _server(REDIS)


@pytest.fixture(scope="session")
def nats() -> Iterator[Server]:
    """Give a NATS server, not started."""
    yield from _server(NATS)


@pytest.fixture(params=["asyncio", "uvloop"])
def backend(request: pytest.FixtureRequest) -> str:
    """Give the event loop; none of the clients runs on trio."""
    name: str = request.param
    return name
