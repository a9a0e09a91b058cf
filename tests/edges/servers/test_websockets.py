"""The goodbye to websockets, without a server: what the timing of a real one does not let see."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from lifecycle.integrations._websockets import Websockets

pytestmark = pytest.mark.anyio


class Peer:
    """A server, and what it was told to send."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.asked = anyio.Event()
        self.may_send = anyio.Event()
        self.may_send.set()

    async def receive(self) -> Any:
        """Give nothing but the beginning."""
        if self.asked.is_set():
            await anyio.sleep_forever()
        self.asked.set()
        return {"type": "websocket.connect"}

    async def send(self, message: Any) -> None:
        """Note it."""
        await self.may_send.wait()
        self.sent.append(f"{message['type']} {message.get('code', '')}".strip())


async def test_one_that_is_accepted_afterwards_is_closed_then() -> None:
    """A handshake has no close code; and it may well be quick."""
    peer = Peer()
    accepting = anyio.Event()
    heard: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await accepting.wait()
        await send({"type": "websocket.accept"})
        heard.append(await receive())

    websockets = Websockets(app)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(websockets, {"type": "websocket"}, peer.receive, peer.send)
        await peer.asked.wait()
        await websockets.end(0)
        assert peer.sent == []
        accepting.set()

    assert peer.sent == ["websocket.accept", "websocket.close 1012"]
    assert [(one["type"], one["code"]) for one in heard] == [("websocket.disconnect", 1012)]


async def test_one_that_comes_afterwards_is_closed_too() -> None:
    """On a connection that was there before."""
    peer = Peer()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})  # which is too late, and no error

    websockets = Websockets(app)
    await websockets.end(0)
    await websockets({"type": "websocket"}, peer.receive, peer.send)

    assert peer.sent == ["websocket.accept", "websocket.close 1012"]


async def test_one_that_has_ended_is_left_alone() -> None:
    """Its code was its own."""
    peer = Peer()
    ending = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1001})
        await ending.wait()

    websockets = Websockets(app)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(websockets, {"type": "websocket"}, peer.receive, peer.send)
        await anyio.wait_all_tasks_blocked()
        await websockets.end(0)
        ending.set()

    assert peer.sent == ["websocket.accept", "websocket.close 1001"]


async def test_a_client_that_cannot_be_told_holds_nobody_up() -> None:
    """The time for it is short, and its handler hears of the end all the same."""
    peer = Peer()
    errors: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        peer.may_send = anyio.Event()  # from now on nobody reads
        message = await receive()
        assert message["code"] == 1012
        try:
            await send({"type": "websocket.send", "text": "news"})
        except OSError as error:
            errors.append(str(error))

    websockets = Websockets(app)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(websockets, {"type": "websocket"}, peer.receive, peer.send)
        await anyio.wait_all_tasks_blocked()
        await websockets.end(0.1)

    assert peer.sent == ["websocket.accept"]
    assert errors == ["this websocket was closed with code 1012: the service is shutting down"]
