"""A web server with websockets: one that the app ends, one that it does not, and one refused."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

import lifecycle
from lifecycle import Registry, Settings
from lifecycle.integrations.fastapi import CurrentSystem, provide
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVER = sys.argv[1]
BACKEND: Any = sys.argv[2]
shop = Registry("shop")
api = FastAPI()


@shop.component
async def database() -> AsyncIterator[str]:
    """Something that websockets use until their end."""
    yield "the database"
    say("database closed")


@shop.component(optional=True)
async def cache() -> str:
    """Something that does not start."""
    raise ConnectionRefusedError("secret")


@api.websocket("/echo")
async def echo(websocket: WebSocket, database: str = provide(database)) -> None:
    """Answer, until somebody ends it."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(f"{await websocket.receive_text()} of {database}")
    except WebSocketDisconnect as left:
        say("echo ended with", left.code)


@api.websocket("/ticks")
async def ticks(websocket: WebSocket, system: CurrentSystem) -> None:
    """Count, until the drain begins, and say so."""
    await websocket.accept()
    async for number in system.until_draining(numbers()):
        await websocket.send_text(str(number))
    await websocket.send_text("goodbye")
    await websocket.close(1001, "the shop closes")
    say("ticks ended")


@api.websocket("/cached")
async def cached(websocket: WebSocket, cache: str = provide(cache)) -> None:
    """Never called."""


async def numbers() -> AsyncIterator[int]:
    """Give one number, and wait for ever."""
    yield 1
    await anyio.sleep_forever()


server = importlib.import_module(f"lifecycle.integrations.{SERVER}").server
shop.add(server(api, port=0), name="web")
lifecycle.run(shop, Settings(grace_period=60), backend=BACKEND)
