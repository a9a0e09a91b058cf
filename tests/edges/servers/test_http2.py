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
    from lifecycle import System


async def by_curl(url: str) -> str:
    """Ask by curl: Python's own client takes a connection that is going to end for an error."""
    command = ["curl", "-s", "--http2-prior-knowledge", "-w", " HTTP/%{http_version}"]
    return (await anyio.run_process([*command, url])).stdout.decode()


@pytest.mark.parametrize(
    ("name", "backend"), [(name, backend) for name, backend in ON_EACH if name != "uvicorn"]
)
def test_what_is_in_flight_is_finished(name: str, backend: str) -> None:
    """Though its connection is told meanwhile that it is going to end."""
    if not shutil.which("curl") and "CI" not in os.environ:
        pytest.skip("curl is not installed")
    app = App()
    shop, web = shop_of(name, app)
    answers: list[str] = []

    async def body(system: System) -> None:
        async def ask() -> None:
            answers.append(await by_curl(f"{web.url}/slow"))

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
    assert app.log == ["up", "/slow has ended", "down"]


@pytest.mark.parametrize("backend", [backend for name, backend in ON_EACH if name == "hypercorn"])
def test_a_kept_connection_is_closed(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """Although its client would use it again, and says nothing; it need not be dropped."""
    app = App()
    shop, web = shop_of("hypercorn", app)

    async def body(system: System) -> None:
        client = httpx.AsyncClient(http1=False, http2=True, trust_env=False, timeout=30)
        async with client:
            answer = await client.get(f"{web.url}/")
            assert answer.http_version == "HTTP/2"
            system.shut_down("deploy")
            await system.closed()

    report = run(backend, shop, body)

    assert report.outcome is Outcome.CLEAN
    assert app.log == ["up", "/ has ended", "down"]
    assert "dropped" not in caplog.text
