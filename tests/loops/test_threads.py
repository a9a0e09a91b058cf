"""A system whose loop runs in a thread, beside code that is not async."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

import lifecycle
from lifecycle import Lifetime, Outcome, Registry
from lifecycle.errors import CrashedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPS: dict[str, Any] = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


def test_it_is_used_from_other_threads(backend: str) -> None:
    """What is not async may be called there; what is goes by the portal."""
    shop = Registry("shop")
    said: list[str] = []

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "the database"
        said.append(f"closed by {threading.current_thread() is not threading.main_thread()}")

    name, options = LOOPS[backend]
    with (
        start_blocking_portal(name, options) as portal,
        portal.wrap_async_context_manager(lifecycle.running(shop)) as system,
    ):
        assert "the database" == system[database]
        with system.hold("a report"):
            assert ["a report"] == [work.what for work in system.status().in_flight]
        assert "the database" == portal.call(system.ready, database)

    assert ["closed by True"] == said
    assert system.report is not None
    assert Outcome.CLEAN is system.report.outcome


def test_its_crash_is_raised_where_it_is_left(backend: str) -> None:
    """The thread that uses it is not interrupted, and told in the end."""
    shop = Registry("shop")

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.started()
        await go_on.wait()
        message = "orders are broken"
        raise OSError(message)

    go_on: Any = None
    used: list[str] = []
    name, options = LOOPS[backend]
    with start_blocking_portal(name, options) as portal:
        go_on = portal.call(_event)

        def use() -> None:
            with portal.wrap_async_context_manager(lifecycle.running(shop)) as system:
                portal.call(go_on.set)
                portal.call(system.wait_draining)
                used.append("to the end")

        with pytest.raises(CrashedError, match="orders are broken"):
            use()
    assert ["to the end"] == used


async def _event() -> anyio.Event:
    return anyio.Event()
