"""How websockets end, of which uvicorn lets none outlast the drain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest
import uvicorn as real
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from lifecycle import Outcome
from tests.edges.uvicorn.kit import App, run, shop_of

if TYPE_CHECKING:
    from lifecycle import System

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:remove second argument:DeprecationWarning"),  # old uvicorn
]


@attrs.frozen
class Socket:
    """A websocket that was accepted."""

    system: System
    receive: Any
    send: Any


class Chat(App):
    """An app whose websockets end as the tests say."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await super().__call__(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        await self.chat(Socket(scope["state"]["lifecycle"], receive, send))
        self.say("the chat has ended")

    async def chat(self, socket: Socket) -> None:
        """Listen, until somebody ends it."""
        message = {"type": "websocket.receive"}
        while message["type"] == "websocket.receive":
            message = await socket.receive()
        self.say(f"{message['type']} {message['code']}")


async def shut_down(shop: Any, server: Any) -> Any:
    """Shut down while a websocket is open; give its code and the report."""
    closed: list[int | None] = []

    async def body(system: System) -> None:
        async with connect(f"ws://127.0.0.1:{server.port}", proxy=None) as client:
            system.shut_down("deploy")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            closed.append(client.close_code)

    report = await run(shop, body)
    return closed, report


async def test_one_that_listens_is_closed() -> None:
    """With the code for a server that comes back; its app is told, and unwinds."""
    app = Chat()
    shop, server = shop_of(app)

    closed, report = await shut_down(shop, server)

    assert (closed, report.outcome) == ([1012], Outcome.CLEAN)
    assert app.log == ["up", "websocket.disconnect 1012", "the chat has ended", "down"]


async def test_one_that_ends_itself_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where uvicorn, which looks every 0.1 s, would have closed it first."""
    looked = anyio.Event()

    class Polite(Chat):
        async def chat(self, socket: Socket) -> None:
            await socket.system.wait_draining()
            self.say("draining")
            await looked.wait()
            await socket.send({"type": "websocket.close", "code": 1001})

    app = Polite()
    shop, server = shop_of(app)
    on_tick, end = real.Server.on_tick, real.Server.shutdown

    async def looks(server: real.Server, counter: int) -> bool:
        if "draining" in app.log:
            looked.set()
        return await on_tick(server, counter)

    async def ends(server: real.Server, sockets: Any = None) -> None:
        app.say("uvicorn ends what is left")
        await end(server, sockets)

    monkeypatch.setattr(real.Server, "on_tick", looks)
    monkeypatch.setattr(real.Server, "shutdown", ends)

    closed, report = await shut_down(shop, server)

    assert (closed, report.outcome) == ([1001], Outcome.CLEAN)
    assert app.log == ["up", "draining", "the chat has ended", "uvicorn ends what is left", "down"]
