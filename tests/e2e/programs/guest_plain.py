"""A shop as a plain ASGI app, served by somebody else's process; GUEST says what goes wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import anyio

from lifecycle import Lifetime, Registry, events, requires
from lifecycle.integrations import guest
from lifecycle.probes import status_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle import System

GOES_WRONG = os.environ.get("GUEST", "")
UNREAD = "a last word that nobody reads"
shop = Registry("shop")

if GOES_WRONG == UNREAD:
    logging.getLogger("lifecycle").addHandler(logging.NullHandler())  # only the account is told
    logging.getLogger("lifecycle").propagate = False
    more_than_a_pipe_takes = "x" * 1_000_000
    nobody, stderr = os.pipe()
    os.dup2(stderr, 2)


def say(line: str) -> None:
    """Say something, and which process it is."""
    sys.stdout.write(f"> {line} [{os.getpid()}]\n")
    sys.stdout.flush()


def tell(event: events.Event) -> None:
    """Say where the system is."""
    if isinstance(event, events.PhaseChanged):
        say(str(event.phase))


def handler() -> str:
    """Name the handler of SIGTERM."""
    return getattr(signal.getsignal(signal.SIGTERM), "__qualname__", "nobody")


class NoDatabaseError(Exception):
    """What a component raises."""


@shop.component
async def database() -> AsyncIterator[str]:
    """Something that the app needs."""
    if GOES_WRONG == "the start":
        message = "the database is not reachable"
        raise NoDatabaseError(message)
    if GOES_WRONG == "a slow start":
        say("database hangs")
        await anyio.sleep_forever()
    yield "the database"
    if GOES_WRONG == "the stop":
        threading.Event().wait()  # a stuck driver, on the loop
    say("database closed")
    if GOES_WRONG == "the last word":
        message = "the last word is lost"
        raise NoDatabaseError(message)
    if GOES_WRONG == UNREAD:
        raise NoDatabaseError(more_than_a_pipe_takes)


@shop.service
async def packing(life: Lifetime, _: str = requires(database)) -> None:
    """Something that drains after the server."""
    life.started()
    await life.wait_draining()
    say("packing drains")


crash = anyio.Event()


@shop.service
async def fragile(_: str = requires(database)) -> None:
    """Something that crashes when a route says so."""
    await crash.wait()
    message = "broken"
    raise ValueError(message)


async def live(receive: Any, send: Any) -> None:
    """Start up, and shut down."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("app ends")
    await send({"type": "lifespan.shutdown.complete"})


async def shop_app(scope: Any, receive: Any, send: Any) -> None:
    """Serve it."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    if scope["type"] == "websocket":
        await chat(receive, send)
        return
    system: System = scope["state"]["lifecycle"]
    path = scope["path"]
    if path.startswith("/internal"):
        await status_app()({**scope, "root_path": "/internal"}, receive, send)
        return
    if path == "/endless":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        try:
            await anyio.sleep_forever()
        finally:
            say("stream ends")
    if path == "/large":
        say("large begins")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    if path == "/slow":
        say("slow begins")
        while (await receive()).get("more_body"):
            pass
        say("slow ends")
    ask(path, scope["query_string"].decode(), system)
    body = system.get(database, "nothing").encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def ask(path: str, query: str, system: System) -> None:
    """Do what some paths ask for."""
    if path == "/crash":
        crash.set()
    elif path == "/shut-down":
        (code,) = parse_qs(query)["code"]
        system.shut_down("a route asks for it", exit_code=int(code))


async def chat(receive: Any, send: Any) -> None:
    """Listen until it is over."""
    await receive()
    await send({"type": "websocket.accept"})
    message = await receive()
    say(f"websocket: {message['type']} {message.get('code')}")


wrapped = guest.wrap(shop_app, shop, observers=[tell])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Say who takes SIGTERM before the system begins, meanwhile, and when it has ended."""
    if scope["type"] != "lifespan":
        await wrapped(scope, receive, send)
        return

    async def told(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            say(f"SIGTERM is for {handler()}")
        await send(message)

    say(f"SIGTERM is for {handler()}")
    if GOES_WRONG == "the end comes first":
        signal.raise_signal(signal.SIGTERM)
    await wrapped(scope, receive, told)
    say(f"SIGTERM is for {handler()}")
