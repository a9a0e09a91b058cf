"""Tests that hold a system, and that are not async at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal

import lifecycle
from lifecycle import Registry, System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

opened: list[str] = []
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    opened.append("opened")
    yield "the database"
    opened.append("closed")


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    opened.clear()
    backend: Any = request.param
    with (
        start_blocking_portal(backend) as portal,
        portal.wrap_async_context_manager(lifecycle.running(shop)) as system,
    ):
        yield system
    assert opened == ["opened", "closed"]


def test_first(system: System) -> None:
    assert system[database] == "the database"


def test_second(system: System) -> None:
    assert opened == ["opened"]
