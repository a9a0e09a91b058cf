"""How a server starts, and what it does when it cannot."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Outcome
from lifecycle.errors import ClosedError, StartTimeoutError
from lifecycle.testing.servers._app import App, GoneError
from lifecycle.testing.servers._promise import promises
from lifecycle.testing.servers._stage import connected, expect, is_refused, within

if TYPE_CHECKING:
    from lifecycle import System
    from lifecycle.asgi import Receive, Scope, Send
    from lifecycle.testing.servers._stage import Server, Stage


async def _serves(server: Server) -> None:
    async with connected(server) as client:
        answer = await client.get("/")
    expect(b"hello", answer[-5:], "the body of the answer")


async def _refuses(address: tuple[str, int]) -> None:
    """Wait until nobody listens there; the kernel tells only those who try."""
    with suppress(OSError):
        while True:
            await (await anyio.connect_tcp(*address)).aclose()
            await anyio.sleep(0.01)


async def it_is_ready_when_it_serves(stage: Stage) -> None:
    """Nobody can connect before the app's lifespan is up; its port is known from the first."""
    seen: list[object] = []

    class Looking(App):
        async def start_up(self, state: dict[str, Any]) -> None:
            seen.extend((server.port > 0, await is_refused(server)))

    app = Looking()
    shop, server = stage.shop(app)

    async def body(system: System) -> None:
        await _serves(server)

    report = await stage.run(shop, body)

    expect([True, True], seen, "during the start: the port is known, connections are refused")
    expect(["up", "/ has ended", "down"], app.log, "what the app has seen")
    expect(Outcome.CLEAN, report.outcome, "the outcome")
    expect(True, await is_refused(server), "refused at the end")


async def a_port_that_is_taken_is_named(stage: Stage) -> None:
    """The error is a plain one of the operating system, and comes before the app is started.

    Once the port is free, the same server starts.
    """
    app = App()
    with socket.create_server(("127.0.0.1", 0)) as other:
        shop, server = stage.shop(app, host="127.0.0.1", port=other.getsockname()[1])
        report = await stage.run(shop)
        cause = report.errors[0].__cause__ if report.errors else None
        expect(errno.EADDRINUSE, getattr(cause, "errno", cause), "the cause of the error")
        expect([], app.log, "what the app has seen")

    async def body(system: System) -> None:
        await _serves(server)

    again = await stage.run(shop, body)
    expect(Outcome.CLEAN, again.outcome, "the outcome, once the port is free")


async def it_takes_sockets_that_are_bound(stage: Stage) -> None:
    """Their port is known at once; they are closed at the end."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        shop, server = stage.shop(App(), sockets=[one])
        expect(one.getsockname()[1], server.port, "the port")

        async def body(system: System) -> None:
            await _serves(server)

        report = await stage.run(shop, body)
        expect(Outcome.CLEAN, report.outcome, "the outcome")
        expect(-1, one.fileno(), "the descriptor at the end")


async def it_serves_on_each_of_its_sockets(stage: Stage) -> None:
    """And refuses connections on each of them when it drains."""
    app = App()
    with socket.socket() as one, socket.socket() as another:
        one.bind(("127.0.0.1", 0))
        another.bind(("127.0.0.2", one.getsockname()[1]))
        addresses = [one.getsockname(), another.getsockname()]
        shop, server = stage.shop(app, sockets=[one, another])

        async def body(system: System) -> None:
            async with connected(server) as client:
                await client.ask("/slow")
                await app.arrived.wait()
                for address in addresses:
                    async with await anyio.connect_tcp(*address) as stream:
                        await stream.send(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
                        expect(b"HTTP/1.1 200", (await stream.receive())[:12], "the answer")
                async with connected(server) as idle:
                    system.shut_down("deploy")
                    await idle.rest()  # closed as the drain begins
                for address in addresses:
                    await _refuses(address)
                app.go_on.set()
                await client.rest()

        report = await stage.run(shop, body)
    expect(Outcome.CLEAN, report.outcome, "the outcome")


async def a_lifespan_that_fails_is_the_cause(stage: Stage) -> None:
    """What the app raises in its lifespan is the cause of the error of the start."""

    class Failing(App):
        async def start_up(self, state: dict[str, Any]) -> None:
            raise GoneError

    shop, server = stage.shop(Failing())

    report = await stage.run(shop)

    expect(Outcome.START_FAILED, report.outcome, "the outcome")
    expect(GoneError, type(report.errors[0].__cause__), "the cause of the error")
    expect(True, await is_refused(server), "refused at the end")


async def a_lifespan_that_says_that_it_failed_is_quoted(stage: Stage) -> None:
    """Where the app says why it cannot start, its words are in the error."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    shop, _ = stage.shop(app)

    report = await stage.run(shop)

    expect(Outcome.START_FAILED, report.outcome, "the outcome")
    expect(True, "no database" in str(report.errors[0]), "quoted")


async def a_lifespan_that_hangs_is_cancelled(stage: Stage) -> None:
    """At the deadline of the start; it unwinds, and nobody listens."""

    class Hanging(App):
        async def start_up(self, state: dict[str, Any]) -> None:
            self.arrived.set()
            try:
                await anyio.sleep_forever()
            finally:
                self.say("unwound")

    # On a busy machine the time may be over before the lifespan has begun: then there is more.
    for start in (0.05, 0.5, 5, 30):
        app = Hanging()
        shop, server = stage.shop(app)
        report = await stage.run(shop, settings=within(10, start=start))
        expect(StartTimeoutError, type(report.errors[0]), "the error")
        expect(True, await is_refused(server), "refused at the end")
        if app.arrived.is_set():
            break

    expect(["unwound"], app.log, "what the app has seen")


async def a_shutdown_while_it_starts_is_clean(stage: Stage) -> None:
    """The lifespan unwinds, and there is no error."""

    class Starting(App):
        async def start_up(self, state: dict[str, Any]) -> None:
            lifecycle.Lifetime.current().system.shut_down("changed my mind")
            try:
                await anyio.sleep_forever()
            finally:
                self.say("unwound")

    app = Starting()
    shop, server = stage.shop(app)

    try:
        async with lifecycle.running(shop):
            pass
    except ClosedError as error:
        expect(Outcome.CLEAN, error.report and error.report.outcome, "the outcome")
    else:
        expect("closed", "started", "the system")

    expect(["unwound"], app.log, "what the app has seen")
    expect(True, await is_refused(server), "refused at the end")


async def it_is_rolled_back(stage: Stage) -> None:
    """Where something that comes after it does not start, it is stopped in order."""
    app = App()
    shop, server = stage.shop(app)

    @shop.component(after=["web"])
    async def broken() -> None:
        raise GoneError

    report = await stage.run(shop)

    expect(Outcome.START_FAILED, report.outcome, "the outcome")
    expect(1, len(report.errors), "the number of errors")
    expect(["up", "down"], app.log, "what the app has seen")
    expect(True, await is_refused(server), "refused at the end")


async def it_can_be_run_again(stage: Stage) -> None:
    """One declaration, many runs, as in tests."""
    app = App()
    shop, server = stage.shop(app)

    async def body(system: System) -> None:
        await _serves(server)

    for _ in range(2):
        report = await stage.run(shop, body)
        expect(Outcome.CLEAN, report.outcome, "the outcome")
    expect(["up", "/ has ended", "down"] * 2, app.log, "what the app has seen")


PROMISES = promises(
    it_is_ready_when_it_serves,
    a_port_that_is_taken_is_named,
    it_takes_sockets_that_are_bound,
    it_serves_on_each_of_its_sockets,
    a_lifespan_that_fails_is_the_cause,
    a_lifespan_that_says_that_it_failed_is_quoted,
    a_lifespan_that_hangs_is_cancelled,
    a_shutdown_while_it_starts_is_clean,
    it_is_rolled_back,
    it_can_be_run_again,
)
