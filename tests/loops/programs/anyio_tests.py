"""Tests that hold a system, on anyio's own plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import lifecycle
from lifecycle import Registry, System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

opened: list[str] = []
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    opened.append("opened")
    yield "the database"
    opened.append("closed")


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
async def system(anyio_backend: Any) -> AsyncIterator[System]:
    opened.clear()
    async with lifecycle.running(shop) as system:
        yield system
    assert opened == ["opened", "closed"]


async def test_first(system: System) -> None:
    assert system[database] == "the database"


async def test_second(system: System) -> None:
    assert opened == ["opened"]
