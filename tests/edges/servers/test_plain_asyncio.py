"""Servers in a program whose event loop was not begun by anyio."""

from __future__ import annotations

import asyncio

import anyio
import pytest

import lifecycle
from lifecycle import Outcome, Report
from lifecycle.testing.servers._app import App
from lifecycle.testing.servers._stage import connected
from tests.edges.servers.kit import SERVERS, shop_of


@pytest.mark.parametrize("name", SERVERS)
def test_requests_are_answered(name: str) -> None:
    """In `asyncio.run` nothing says which loop this is but a task; connections come in none."""
    app = App()
    shop, web = shop_of(name, app)

    async def main() -> Report:
        with anyio.fail_after(30):
            return await life()

    async def life() -> Report:
        async with lifecycle.running(shop) as system:
            async with connected(web) as client, connected(web) as slow:
                assert b"hello" == (await client.get("/"))[-5:]
                await slow.ask("/slow")
                await app.arrived.wait()
                system.shut_down("deploy")
                await system.wait_draining()
                app.go_on.set()
                assert b"slow" == (await slow.rest())[-4:]
            return await system.closed()

    report = asyncio.run(main())

    assert Outcome.CLEAN == report.outcome
    assert ["up", "/ has ended", "/slow has ended", "down"] == app.log
