"""How websockets end, of which none outlasts the drain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from lifecycle import Outcome, Report
from lifecycle.testing.servers._app import App
from lifecycle.testing.servers._promise import promises
from lifecycle.testing.servers._stage import connected, expect, within

if TYPE_CHECKING:
    from lifecycle import System
    from lifecycle.testing.servers._app import Request
    from lifecycle.testing.servers._stage import Stage


class _Chat(App):
    async def listening(self, websocket: Request) -> None:
        """Listen, until somebody ends it."""
        await self._accept(websocket)
        message = await websocket.receive()
        self.say(f"{message['type']} {message['code']}")

    async def polite(self, websocket: Request) -> None:
        """End itself when the drain begins."""
        await self._accept(websocket)
        await websocket.scope["state"]["lifecycle"].wait_draining()
        await anyio.sleep(0.1)  # it takes its time: nobody may be faster
        await websocket.send({"type": "websocket.close", "code": 1001})

    async def talking(self, websocket: Request) -> None:
        """Talk, and never listen."""
        await self._accept(websocket)
        await websocket.scope["state"]["lifecycle"].wait_draining()
        try:
            while True:
                await websocket.send({"type": "websocket.send", "text": "news"})
                await anyio.sleep(0.01)
        except OSError:
            self.say("nobody listens")

    async def deaf(self, websocket: Request) -> None:
        """Go on, whatever is said."""
        await self._accept(websocket)
        await anyio.sleep_forever()

    async def _accept(self, websocket: Request) -> None:
        await websocket.receive()
        await websocket.send({"type": "websocket.accept"})
        self.arrived.set()


async def _closed(stage: Stage, path: str, drain: float | None) -> tuple[list[str], Report]:
    """Shut down while a websocket is open; give its code, what the app has seen, and the report."""
    app = _Chat()
    shop, server = stage.shop(app)
    code: list[object] = []

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.open_websocket(path)
            await app.arrived.wait()
            system.shut_down("deploy")
            code.append(await client.closing_code())

    report = await stage.run(shop, body, within(10, drain=drain))
    return [*map(str, code), *app.log], report


async def a_websocket_is_closed_as_the_server_goes(stage: Stage) -> None:
    """With code 1012, for a server that comes back; its app is told, and unwinds."""
    seen, report = await _closed(stage, "/listening", None)

    told = "websocket.disconnect 1012"
    expect(["1012", "up", told, "/listening has ended", "down"], seen, "the code, and the app")
    expect(Outcome.CLEAN, report.outcome, "the outcome")


async def a_websocket_that_ends_itself_has_the_last_word(stage: Stage) -> None:
    """Where it ends soon after the drain has begun, the code is its own."""
    seen, report = await _closed(stage, "/polite", None)

    expect(["1001", "up", "/polite has ended", "down"], seen, "the code, and what the app has seen")
    expect(Outcome.CLEAN, report.outcome, "the outcome")


async def a_websocket_that_only_talks_hears_of_it(stage: Stage) -> None:
    """What it sends next raises an OSError."""
    seen, report = await _closed(stage, "/talking", None)

    said = "nobody listens"
    expect(["1012", "up", said, "/talking has ended", "down"], seen, "the code, and the app")
    expect(Outcome.CLEAN, report.outcome, "the outcome")


async def a_websocket_that_hears_nothing_is_cut_off(stage: Stage) -> None:
    """At the deadline of the drain; its client was told before."""
    seen, report = await _closed(stage, "/deaf", 1)

    expect(["1012", "up", "/deaf has ended", "down"], seen, "the code, and what the app has seen")
    expect(Outcome.INCOMPLETE, report.outcome, "the outcome")


PROMISES = promises(
    a_websocket_is_closed_as_the_server_goes,
    a_websocket_that_ends_itself_has_the_last_word,
    a_websocket_that_only_talks_hears_of_it,
    a_websocket_that_hears_nothing_is_cut_off,
)
