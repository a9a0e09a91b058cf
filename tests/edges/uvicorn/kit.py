"""Systems that serve an app, run in the event loop of the test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import lifecycle
from lifecycle import Registry, Report, Settings, System
from lifecycle.errors import RunError
from lifecycle.integrations import uvicorn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from lifecycle.events import Observer


def shop_of(app: Any, **options: Any) -> tuple[Registry, uvicorn.Server]:
    """A system of nothing but a server."""
    shop = Registry("shop")
    server = uvicorn.server(app, port=0, **options)
    shop.add(server, name="web")
    return shop, server


async def run(
    shop: Registry,
    body: Callable[[System], Awaitable[object]] | None = None,
    settings: Settings | None = None,
    observers: Sequence[Observer] = (),
) -> Report:
    """Run a system, see that it leaves no task, and give the report, also of one that fails."""
    report = None
    before = asyncio.all_tasks()
    try:
        async with lifecycle.running(shop, settings or Settings(), observers=observers) as system:
            if body is not None:
                await body(system)
            system.shut_down("the test is over")
            report = await system.closed()
    except RunError as error:
        report = error.report
        if report is None:
            raise
    assert before == asyncio.all_tasks()
    return report
