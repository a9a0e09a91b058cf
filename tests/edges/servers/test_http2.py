"""HTTP/2, which has no header to close a connection by: where it is spoken, it drains, too."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from lifecycle import Outcome
from lifecycle.testing.servers._app import App
from tests.edges.servers.kit import ON_EACH, run, shop_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle import System


async def by_httpx(url: str) -> str:
    """Ask on a connection that was used before, and that is kept to be used again."""
    async with httpx.AsyncClient(http1=False, http2=True, trust_env=False, timeout=30) as client:
        await client.get(url.removesuffix("slow"))
        answer = await client.get(url)
        return f"{answer.text} {answer.http_version}"


async def by_curl(url: str) -> str:
    """Ask by another client: Python's own takes a connection that is going to end for an error."""
    command = ["curl", "-s", "--http2-prior-knowledge", "-w", " HTTP/%{http_version}"]
    await anyio.run_process([*command, url.removesuffix("slow")])
    return (await anyio.run_process([*command, url])).stdout.decode()


@pytest.mark.parametrize(
    ("name", "backend"), [(name, backend) for name, backend in ON_EACH if name != "uvicorn"]
)
def test_what_is_in_flight_is_finished(name: str, backend: str) -> None:
    """And the connection is closed after that, although its client would use it again."""
    get: Callable[[str], Awaitable[str]] = by_curl if name == "granian" else by_httpx
    if get is by_curl and not shutil.which("curl") and "CI" not in os.environ:
        pytest.skip("curl is not installed")
    app = App()
    shop, web = shop_of(name, app)
    answers: list[str] = []

    async def body(system: System) -> None:
        async def ask() -> None:
            answers.append(await get(f"{web.url}/slow"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await app.arrived.wait()
            system.shut_down("deploy")
            await system.wait_draining()
            app.go_on.set()
            await system.closed()

    report = run(backend, shop, body)

    assert report.outcome is Outcome.CLEAN
    assert answers == ["slow HTTP/2"]
    assert app.log == ["up", "/ has ended", "/slow has ended", "down"]
