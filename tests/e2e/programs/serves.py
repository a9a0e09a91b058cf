"""A web server whose app has an endless stream, or a lifespan that fails."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import anyio

import lifecycle
from lifecycle import Registry, Settings

SERVER = sys.argv[1]
BACKEND: Any = sys.argv[2]
LIFESPAN = sys.argv[3]
shop = Registry("shop")


class NoDatabaseError(Exception):
    """What the app raises."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Stream for ever."""
    if scope["type"] == "lifespan":
        await receive()
        if LIFESPAN == "hangs":
            print("> lifespan begins")
            try:
                await anyio.sleep_forever()
            finally:
                print("> lifespan unwinds")
        if LIFESPAN == "fails to start":
            raise NoDatabaseError("the database is not reachable")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("> lifespan ends")
        if LIFESPAN == "fails to stop":
            raise NoDatabaseError("the database is gone")
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"data\n\n", "more_body": True})
            await anyio.sleep(0.01)
    finally:
        print("> stream ends")


@shop.component
async def database() -> Any:
    """Something to be closed behind the server."""
    print("> database opened")
    yield
    print("> database closed")


server = importlib.import_module(f"lifecycle.integrations.{SERVER}").server
shop.add(server(app, port=0), name="web", after=[database])
# 1.7 s to drain, and more than enough for all the rest.
lifecycle.run(shop, Settings(grace_period=14.5, close_reserve=12.3), backend=BACKEND)
