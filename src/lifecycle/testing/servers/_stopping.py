"""How a server stops: in order, and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

import lifecycle
from lifecycle import Outcome
from lifecycle.errors import DrainTimeoutError, StopError
from lifecycle.testing.servers._app import App, GoneError
from lifecycle.testing.servers._promise import promises
from lifecycle.testing.servers._stage import connected, expect, is_refused, within

if TYPE_CHECKING:
    from lifecycle import System
    from lifecycle.testing.servers._app import Request
    from lifecycle.testing.servers._stage import Stage


async def a_lifespan_that_fails_to_shut_down_is_told_of(stage: Stage) -> None:
    """Its exception is that of the component's stop."""

    class Failing(App):
        async def shut_down(self) -> None:
            raise GoneError

    shop, _ = stage.shop(Failing())

    report = await stage.run(shop)

    found = [(type(error), type(error.__cause__)) for error in report.errors]
    expect([(StopError, GoneError)], found, "the errors, and their causes")


async def a_lifespan_that_never_shuts_down_is_cancelled(stage: Stage) -> None:
    """At the deadline of the stop; it unwinds."""

    class Hanging(App):
        async def shut_down(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                self.say("unwound")

    app = Hanging()
    shop, _ = stage.shop(app)

    report = await stage.run(shop, settings=within(3))

    expect(["up", "unwound"], app.log, "what the app has seen")
    expect([StopError], [type(error) for error in report.errors], "the errors")
    expect((), report.abandoned, "what was abandoned")


async def a_client_that_does_not_read_holds_nobody_up(stage: Stage) -> None:
    """Its connection is dropped, and the rest ends in order."""

    class Big(App):
        async def big(self, request: Request) -> None:
            self.arrived.set()
            await request.answer(b"x" * 20_000_000)

    app = Big()
    shop, server = stage.shop(app)

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/big")
            await app.arrived.wait()
            system.shut_down("deploy")
            await system.closed()

    report = await stage.run(shop, body, within(4, drain=0.2))

    expect(["up", "/big has ended", "down"], app.log, "what the app has seen")
    expect(False, any(isinstance(error, StopError) for error in report.errors), "a failed stop")


async def a_handler_that_shields_itself_holds_nobody_up(stage: Stage) -> None:
    """It is ended by force, early enough for the lifespan to be shut down; or left, and named."""

    class Stuck(App):
        async def stuck(self, request: Request) -> None:
            self.arrived.set()
            with anyio.CancelScope(shield=True):
                await self.go_on.wait()
            await request.answer(b"stuck")

    app = Stuck()
    shop, server = stage.shop(app)

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/stuck")
            await app.arrived.wait()
            system.shut_down("deploy")
            report = await system.closed()
            expect(Outcome.INCOMPLETE, report.outcome, "the outcome")
            app.go_on.set()
            if not report.abandoned:
                expect(["up", "/stuck has ended", "down"], app.log, "what the app has seen")
                expect([DrainTimeoutError], [type(error) for error in report.errors], "the errors")

    await stage.run(shop, body, within(4, drain=0.2))

    expect("up", app.log[0], "the first that the app has seen")


async def a_cancellation_from_outside_ends_it_in_order(stage: Stage) -> None:
    """It asks for a shutdown, and cuts nothing off."""
    app = App()
    shop, server = stage.shop(app)
    answers: list[bytes] = []

    async def ask() -> None:
        async with connected(server) as client, connected(server) as idle:
            await client.ask("/slow")
            await app.arrived.wait()
            outer.cancel()
            await idle.rest()  # closed as the drain begins
            app.go_on.set()
            answers.append(await client.rest())

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as outer:
            async with lifecycle.running(shop):
                tasks.start_soon(ask)
                await anyio.sleep_forever()

    expect([b"slow"], [answer[-4:] for answer in answers], "the ends of the answers")
    expect(["up", "/slow has ended", "down"], app.log, "what the app has seen")


async def it_comes_back_at_its_port_at_once(stage: Stage) -> None:
    """Although connections that it has closed linger there for a minute."""
    shop, server = stage.shop(App())

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.get("/")
            system.shut_down("deploy")
            await client.rest()

    await stage.run(shop, body)
    expect(True, await is_refused(server), "refused")
    again, _ = stage.shop(App(), port=server.port)
    report = await stage.run(again)

    expect(Outcome.CLEAN, report.outcome, "the outcome")


PROMISES = promises(
    a_client_that_does_not_read_holds_nobody_up,
    a_handler_that_shields_itself_holds_nobody_up,
    a_cancellation_from_outside_ends_it_in_order,
    a_lifespan_that_fails_to_shut_down_is_told_of,
    a_lifespan_that_never_shuts_down_is_cancelled,
    it_comes_back_at_its_port_at_once,
)
