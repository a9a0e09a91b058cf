"""How a server starts, and what it does when it cannot."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import uvicorn as real
from fastapi import FastAPI

import lifecycle
from lifecycle import Limits, Outcome, Registry, Settings, events
from lifecycle.errors import StartError, StartTimeoutError
from lifecycle.integrations import uvicorn
from lifecycle.testing.servers._app import App, Request
from lifecycle.testing.servers._stage import connected, is_refused
from tests.edges.uvicorn.kit import run, shop_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle import System

pytestmark = pytest.mark.anyio


async def test_its_port_is_known() -> None:
    """With port 0 as soon as it has started; the url is one for clients."""
    shop, server = shop_of(App(), host="")

    async def body(system: System) -> None:
        assert server.port > 0
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert {port for _, port in server.addresses} == {server.port}
        assert [one.getsockname()[1] for one in server.sockets] == [
            server.port for _ in server.addresses
        ]

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_a_name_may_have_addresses_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as one of them is."""

    async def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*stream, ("192.0.2.1", 0)), (*stream, ("127.0.0.1", 0))]

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    shop, server = shop_of(App(), host="shop.example")

    async def body(system: System) -> None:
        assert server.url == f"http://127.0.0.1:{server.port}"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_it_can_be_used_without_a_system() -> None:
    """It is a context manager; nothing counts its calls then."""
    async with uvicorn.server(App(), port=0) as server, connected(server) as client:
        assert b"hello" in await client.get("/")
        with pytest.raises(RuntimeError, match="runs already"):
            await server.__aenter__()


# --- failures ------------------------------------------------------------------------------------


async def test_a_port_that_is_taken() -> None:
    """The cause says which, and the app was not started; once it is free, all is well."""
    app = App()
    with socket.socket() as other, socket.socket() as held:
        for one in (other, held):  # the second keeps the port for us once the first is closed
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        held.bind(("127.0.0.1", port))
        other.listen()
        shop = Registry("shop")
        shop.add(uvicorn.server(app, port=port), name="web")

        report = await run(shop)
        other.close()
        again = await run(shop)

    assert (report.outcome, again.outcome) == (Outcome.START_FAILED, Outcome.CLEAN)
    [error] = report.errors
    assert str(error) == (
        "'web' did not start: "
        f"OSError: [Errno 98] cannot listen on 127.0.0.1:{port}: Address already in use"
    )
    assert ["up", "down"] == app.log


async def test_a_port_that_is_taken_in_the_last_moment() -> None:
    """Two may be bound to a port, but only one can listen: the app is shut down again."""
    app = App()
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        first.listen()
        shop, _ = shop_of(app, sockets=[second])

        report = await run(shop)

    assert isinstance(report.errors[0], StartError)
    assert isinstance(report.errors[0].__cause__, OSError)
    assert ["up", "down"] == app.log


async def test_a_host_that_is_not_here() -> None:
    """An address of somebody else."""
    shop, _ = shop_of(App(), host="192.0.2.1")

    report = await run(shop)

    assert "cannot listen on 192.0.2.1:0: Cannot assign requested address" in str(report.errors[0])


class DatabaseGoneError(Exception):
    """What an app raises."""


async def test_a_lifespan_of_fastapi_that_fails() -> None:
    """Likewise: no traceback as a text, but the exception."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise DatabaseGoneError
        yield

    shop, _ = shop_of(FastAPI(lifespan=lifespan))

    report = await run(shop)

    assert isinstance(report.errors[0].__cause__, DatabaseGoneError)


async def test_a_lifespan_that_wants_to_exit() -> None:
    """Its code becomes that of the program; it does not tear down the event loop."""

    class Exiting(App):
        async def start_up(self, state: dict[str, Any]) -> None:
            state["pool"] = None
            raise SystemExit(7)

    shop, _ = shop_of(Exiting())
    settings = Settings()

    with pytest.raises(lifecycle.errors.ClosedError) as caught:
        async with lifecycle.running(shop, settings):
            pass

    assert "SystemExit(7)" in str(caught.value)


async def test_the_deadline_of_the_start_does_not_interrupt_the_opening_of_listeners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Interrupted there, the event loop would go on looking at a socket that was closed."""
    log: list[str] = []
    open_listeners = real.Server.startup

    async def startup(server: real.Server, sockets: Any = None) -> None:
        await open_listeners(server, sockets)
        log.append("opening")
        await expired.wait()
        await anyio.lowlevel.checkpoint()  # here a cancellation would arrive
        await anyio.lowlevel.checkpoint()
        log.append("opened")

    def observer(event: events.Event) -> None:
        if isinstance(event, events.ComponentStarted) and event.error is not None:
            expired.set()

    monkeypatch.setattr(real.Server, "startup", startup)

    # On a busy machine the time may be over before it opens them: then there is more.
    for start in (0.1, 1, 10, 30):
        expired = anyio.Event()
        shop, server = shop_of(App())
        settings = Settings(limits={"web": Limits(start=start)})
        report = await run(shop, settings=settings, observers=[observer])
        assert isinstance(report.errors[0], StartTimeoutError)
        assert await is_refused(server)
        if log:
            break

    assert log == ["opening", "opened"]


async def test_a_server_that_fails_to_open_its_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not started, and the app is shut down again."""

    async def startup(server: real.Server, sockets: Any = None) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(real.Server, "startup", startup)
    app = App()
    shop, _ = shop_of(app)

    report = await run(shop)

    assert report.outcome is Outcome.START_FAILED
    assert "OSError: [Errno 24] Too many open files" in str(report.errors[0])
    assert ["up", "down"] == app.log


@pytest.mark.parametrize("mode", ["auto", "off"])
async def test_apps_without_a_lifespan_are_served(mode: str) -> None:
    """Whether they refuse it, or do not even look what they are asked."""

    async def strict(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await Request(scope, receive, send).answer(b"strict")

    async def careless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await Request(scope, receive, send).answer(b"careless")

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await Request(scope, receive, send).answer(b"silent")

    for app in (strict, careless, silent):
        shop, server = shop_of(app, lifespan=mode)

        async def body(
            system: System, server: uvicorn.Server = server, name: str = app.__name__
        ) -> None:
            async with connected(server) as client:
                assert name.encode() in await client.get("/")

        assert (await run(shop, body)).outcome is Outcome.CLEAN


async def test_what_uvicorn_cannot_load(tmp_path: Any) -> None:
    """Its configuration is looked at before anything else is done."""
    app = App()
    shop, _ = shop_of(app, ssl_certfile=str(tmp_path / "missing.pem"))

    report = await run(shop)

    assert isinstance(report.errors[0].__cause__, FileNotFoundError)
    assert [] == app.log
