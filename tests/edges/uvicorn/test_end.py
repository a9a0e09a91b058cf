"""How a server ends: what it finishes, what it refuses, and what it cuts off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
import uvicorn as real

from lifecycle import Outcome, Registry, Report
from lifecycle.integrations._beside import beside
from lifecycle.testing.servers._app import App
from tests.edges.uvicorn.kit import run, shop_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle import System

pytestmark = pytest.mark.anyio


class DatabaseGoneError(Exception):
    """What an app raises."""


# --- drain ---------------------------------------------------------------------------------------


# --- stop ----------------------------------------------------------------------------------------


async def test_a_lifespan_that_only_says_that_it_failed_to_shut_down() -> None:
    """Then its words are all there is."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed"})

    shop, _ = shop_of(app)

    report = await run(shop)

    assert "lifespan.shutdown.failed: the app does not say why" in str(report.errors[0])


async def test_a_lifespan_that_has_ended_is_not_shut_down() -> None:
    """Some apps have nothing to do at the end."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    shop, _ = shop_of(app)

    assert (await run(shop)).outcome is Outcome.CLEAN


# --- crashes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "cause"),
    [
        (None, "uvicorn has ended by itself"),
        (SystemExit(3), "uvicorn gave up with exit code 3"),
        (OSError("no more files"), "no more files"),
    ],
    ids=["returns", "exits", "raises"],
)
async def test_a_server_that_ends_by_itself_has_crashed(
    raised: BaseException | None, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it would have torn down the event loop; the app's lifespan is shut down."""

    async def main_loop(server: real.Server) -> None:
        await running.wait()
        if raised is not None:
            raise raised

    running = anyio.Event()
    monkeypatch.setattr(real.Server, "main_loop", main_loop)
    app = App()
    shop, _ = shop_of(app)

    async def body(system: System) -> None:
        running.set()

    report = await run_to_the_end(shop, body)

    assert report.outcome is Outcome.CRASHED
    assert cause in str(report.errors[0].__cause__)
    assert app.log == ["up", "down"]


async def test_an_error_is_not_lost_in_a_cancellation() -> None:
    """Where both come, the task that runs beside is waited for, and the error is what leaves."""
    log = []

    async def run() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    async def fail() -> None:
        with anyio.CancelScope() as scope:
            async with beside(run, "beside"):
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
                raise DatabaseGoneError

    with pytest.raises(DatabaseGoneError):
        await fail()
    assert log == ["ended"]


async def run_to_the_end(shop: Registry, body: Callable[[System], Awaitable[object]]) -> Report:
    """Run a system until it ends by itself."""

    async def wait(system: System) -> None:
        await body(system)
        await system.closed()

    return await run(shop, wait)
