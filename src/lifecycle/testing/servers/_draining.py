"""What a server finishes, what it refuses, and what it cuts off in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from lifecycle import Outcome, Settings
from lifecycle.errors import DrainTimeoutError
from lifecycle.testing.servers._app import App
from lifecycle.testing.servers._promise import promises
from lifecycle.testing.servers._stage import WEB, connected, expect, is_refused, within

if TYPE_CHECKING:
    from lifecycle import Report, System
    from lifecycle.testing.servers._app import Request
    from lifecycle.testing.servers._stage import Stage


async def what_is_in_flight_is_finished(stage: Stage) -> None:
    """Meanwhile new connections are refused, and idle ones are closed."""
    app = App()
    shop, server = stage.shop(app)

    async def body(system: System) -> None:
        async with connected(server) as idle, connected(server) as busy:
            await idle.get("/")
            await busy.ask("/slow")
            await app.arrived.wait()
            system.shut_down("deploy")
            expect(b"", await idle.rest(), "what is sent on an idle connection")
            expect(True, await is_refused(server), "refused")
            expect(["up", "/ has ended"], app.log, "what the app has seen until then")
            app.go_on.set()
            answer = await busy.rest()
            expect(1, answer.lower().count(b"\r\nconnection: close\r\n"), "`connection: close`")
            expect(b"\r\n\r\nslow", answer[-8:], "the end of the answer")

    # Where the idle connection is closed only because its time is over, the request is cut off.
    report = await stage.run(shop, body, within(10, drain=4))

    expect(Outcome.CLEAN, report.outcome, "the outcome")
    expect(["up", "/ has ended", "/slow has ended", "down"], app.log, "what the app has seen")


async def half_a_request_holds_nobody_up(stage: Stage) -> None:
    """Its connection is closed as an idle one is, or when half of the time to stop is over."""
    app = App()
    shop, server = stage.shop(app)

    async def body(system: System) -> None:
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nhost: sh")
            async with connected(server) as other:
                await other.get("/")  # by then the server knows the first one, too
            system.shut_down("deploy")
            await system.closed()

    report = await stage.run(shop, body, within(4))

    expect(Outcome.CLEAN, report.outcome, "the outcome")
    expect(["up", "/ has ended", "down"], app.log, "what the app has seen")


async def during_the_drain_delay_all_is_served(stage: Stage) -> None:
    """On new connections, too; clients are asked to come back on others."""
    shop, server = stage.shop(App())

    async def body(system: System) -> None:
        async with connected(server) as old:
            await old.get("/")
            system.shut_down("deploy")
            async with connected(server) as new:
                for client in (old, new):
                    answer = await client.get("/")
                    count = answer.lower().count(b"\r\nconnection: close\r\n")
                    expect((1, b"hello"), (count, answer[-5:]), "`connection: close`, and the body")
                    expect(b"", await client.rest(), "what comes after the answer")

    # On a busy machine all of that may take a while.
    report = await stage.run(shop, body, Settings(drain_delay=3))

    expect(Outcome.CLEAN, report.outcome, "the outcome")


class _Streaming(App):
    async def endless(self, request: Request) -> None:
        """Stream events for ever."""
        await request.begin_events()
        await self._for_ever()

    async def polite(self, request: Request) -> None:
        """Stream events until the drain begins."""
        await request.begin_events()
        self.arrived.set()
        await request.scope["state"]["lifecycle"].wait_draining()
        await request.part(b"data: goodbye\n\n", is_last=True)

    async def export(self, request: Request) -> None:
        """Stream something else, for ever."""
        await request.begin((b"content-type", b"text/csv"))
        await request.part(b"1;2;3\n")
        await self._for_ever()

    async def _for_ever(self) -> None:
        self.arrived.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(3):  # it unwinds, and takes its time for that
                    await anyio.lowlevel.checkpoint()


async def _asked(stage: Stage, path: str, drain: float | None) -> tuple[bytes, App, Report]:
    """Ask for something, and shut down; give what is heard, the app, and the report."""
    app = _Streaming()
    shop, server = stage.shop(app)
    heard: list[bytes] = []

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask(path)
            await app.arrived.wait()
            if path != "/slow":
                heard.append(await client.until(b"\n"))
                heard.append(await client.until(b"\n"))
            system.shut_down("deploy")
            heard.append(await client.rest())

    report = await stage.run(shop, body, within(10, drain=drain))
    expect(["up", f"{path} has ended", "down"], app.log, "what the app has seen")
    return b"".join(heard), app, report


def _expect_cut(report: Report, path: str) -> None:
    expect(Outcome.INCOMPLETE, report.outcome, "the outcome")
    expect([DrainTimeoutError], [type(error) for error in report.errors], "the errors")
    works = [(work.component, work.what) for work in report.in_flight]
    expect([(WEB, f"GET {path}")], works, "what was cut off")


async def an_endless_stream_of_events_is_ended(stage: Stage) -> None:
    """At the deadline of the drain, and properly: its client comes back.

    The handler unwinds before the app's lifespan is shut down.
    """
    heard, _, report = await _asked(stage, "/endless", 0.2)

    expect(b"\r\n0\r\n\r\n", heard[-7:], "the end of the stream")
    _expect_cut(report, "/endless")


async def a_stream_can_end_itself(stage: Stage) -> None:
    """When the drain begins; then nothing is cut off."""
    heard, _, report = await _asked(stage, "/polite", None)

    expect(True, b"data: goodbye\n\n" in heard, "a goodbye")
    expect(b"\r\n0\r\n\r\n", heard[-7:], "the end of the stream")
    expect(Outcome.CLEAN, report.outcome, "the outcome")


async def what_was_cut_off_does_not_look_complete(stage: Stage) -> None:
    """The connection is closed without the end of the response."""
    heard, _, report = await _asked(stage, "/export", 0.2)

    expect(False, heard.endswith(b"\r\n0\r\n\r\n"), "complete")
    _expect_cut(report, "/export")


async def what_was_not_answered_is_answered_with_a_503(stage: Stage) -> None:
    """At the deadline of the drain, so that its client asks somebody else."""
    heard, _, report = await _asked(stage, "/slow", 0.2)

    expect(b"HTTP/1.1 503 ", heard[:13], "the answer")
    _expect_cut(report, "/slow")


PROMISES = promises(
    what_is_in_flight_is_finished,
    half_a_request_holds_nobody_up,
    during_the_drain_delay_all_is_served,
    an_endless_stream_of_events_is_ended,
    a_stream_can_end_itself,
    what_was_cut_off_does_not_look_complete,
    what_was_not_answered_is_answered_with_a_503,
)
