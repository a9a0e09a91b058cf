"""Tests that hold a system, on pytest-asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from lifecycle import Registry, System
from lifecycle.apart import apart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

opened: list[str] = []
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    opened.append("opened")
    yield "the database"
    opened.append("closed")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def system() -> AsyncIterator[System]:
    async with apart(shop) as system:
        yield system
    assert opened == ["opened", "closed"]


async def test_first(system: System) -> None:
    assert system[database] == "the database"


async def test_second(system: System) -> None:
    assert opened == ["opened"]
