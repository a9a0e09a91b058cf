"""What is hypercorn's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio
from hypercorn.asyncio import tcp_server as on_asyncio
from hypercorn.trio import tcp_server as on_trio

from lifecycle import Outcome
from lifecycle.integrations.hypercorn import _connections
from lifecycle.testing.servers._stage import connected
from tests.edges.servers.kit import hello, run, shop_of

if TYPE_CHECKING:
    from lifecycle import System

BACKENDS = ["asyncio", "uvloop", "trio"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_connection_that_fails_leaves_the_others_alone(
    backend: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the server goes on."""
    module: Any = on_trio if backend == "trio" else on_asyncio
    serve = module.TCPServer.run
    served: list[object] = []

    async def fail_once(connection: Any) -> None:
        served.append(connection)
        if len(served) == 1:
            raise ValueError("a bug")
        await serve(connection)

    monkeypatch.setattr(module.TCPServer, "run", fail_once)
    shop, web = shop_of("hypercorn", hello)

    async def body(system: System) -> None:
        async with connected(web) as first:
            await first.ask("/")
            while not served:
                await anyio.lowlevel.checkpoint()
        async with connected(web) as second:
            assert b"hello" in await second.get("/")

    report = run(backend, shop, body)

    assert report.outcome is Outcome.CLEAN
    messages = [one.message for one in caplog.records if one.name.startswith("lifecycle.integr")]
    assert "hypercorn failed to serve a connection" in messages


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_hypercorn_is_refused_when_it_starts(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What serves a connection is no promise of hypercorn's: requests would fail one by one."""

    class TCPServer:
        def __init__(self, app: Any, everything: Any) -> None: ...

    name = "_trio_run" if backend == "trio" else "_asyncio_run"
    monkeypatch.setattr(f"lifecycle.integrations.hypercorn.{name}.TCPServer", TCPServer)
    shop, _ = shop_of("hypercorn", hello)

    [error] = run(backend, shop).errors

    assert "this version of hypercorn is not known: its TCPServer takes (app: 'Any'" in str(error)


def test_a_server_that_stops_to_accept_has_crashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by an error of the operating system."""

    async def fail(*args: Any, **kwargs: Any) -> None:
        await ready.wait()
        raise OSError(24, "Too many open files")

    ready = anyio.Event()
    monkeypatch.setattr(trio, "serve_listeners", fail)
    shop, _ = shop_of("hypercorn", hello)

    async def body(system: System) -> None:
        ready.set()
        await system.closed()

    report = run("trio", shop, body)

    assert report.outcome is Outcome.CRASHED
    assert "Too many open files" in str(report.errors[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_certificate_that_is_missing(backend: str, tmp_path: Any) -> None:
    """It is loaded before anything else is done."""
    files = {"certfile": str(tmp_path / "missing"), "keyfile": str(tmp_path / "missing")}
    shop, _ = shop_of("hypercorn", hello, **files)

    report = run(backend, shop)

    assert isinstance(report.errors[0].__cause__, FileNotFoundError)


def test_its_own_state_is_empty() -> None:
    """What the lifespan has left is put into the scope by the outermost wrapper."""
    assert _connections.state() == {}
