"""The kit for servers, tried on servers that do not keep their promises."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle.testing import servers

if TYPE_CHECKING:
    from lifecycle.asgi import ASGIApp
    from lifecycle.testing.servers import Promise

PROMISES = {promise.name: promise for promise in servers.PROMISES}


class Naive:
    """A server as one writes it at first: it answers, and knows nothing of shutdowns."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self.port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; whatever goes wrong is somebody else's."""
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: Any, writer: Any) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode().partition("?")[0]
        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "state": {}}

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                lines = [b"%s: %s\r\n" % header for header in message["headers"]]
                writer.write(b"HTTP/1.1 %d OK\r\n%s\r\n" % (message["status"], b"".join(lines)))
            else:
                writer.write(message["body"])

        try:
            await self._app(scope, receive, send)
        finally:  # before Python 3.12 it would stay open until the garbage is collected
            writer.close()


def naive(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 8000, sockets: Any = None) -> Naive:
    """Make one."""
    return Naive(app, host, port)


def broken(name: str, patience: float = 60) -> str:
    """Check a promise that the naive server does not keep; give what is said of it."""
    with pytest.raises(servers.PromiseNotKeptError) as caught:
        PROMISES[name].check(naive, patience=patience)
    return str(caught.value)


@pytest.mark.parametrize("promise", servers.PROMISES, ids=str)
def test_each_promise_says_what_it_is(promise: Promise) -> None:
    """In sentences, and by a name that reads as one."""
    assert re.fullmatch(r"[A-Z].*\.", promise.says)
    assert re.fullmatch(r"[a-z0-9_]+", promise.name)


def test_no_two_promises_have_one_name() -> None:
    """So that a test's name says which was broken."""
    assert len(PROMISES) == len(servers.PROMISES)


def test_what_is_not_kept_is_told_with_all_that_happened() -> None:
    """What was promised, what came instead, and the life of the system until then."""
    first, _, found, _, until_then, *log = broken("it_is_ready_when_it_serves").splitlines()

    assert first == PROMISES["it_is_ready_when_it_serves"].says
    what = "during the start: the port is known, connections are refused"
    assert found == f"{what}: expected [True, True], not []"
    assert until_then == "until then:"
    assert re.match(r"  ComponentStarted\(at=.*, component='web'\)", log[2])


def test_an_error_of_the_client_is_told_likewise() -> None:
    """What a check runs into is the server's doing, too; its traceback is kept."""
    with pytest.raises(servers.PromiseNotKeptError, match="it came to this: ") as caught:
        PROMISES["requests_are_work_of_the_component"].check(naive)

    assert isinstance(caught.value.__cause__, Exception)


def test_what_hangs_is_given_up() -> None:
    """After the patience of the caller."""

    async def hang(stage: Any) -> None:
        await anyio.sleep_forever()

    promise = servers.Promise("it_hangs", "It ends.", hang)

    with pytest.raises(servers.PromiseNotKeptError) as caught:
        promise.check(naive, patience=0.1)

    assert str(caught.value) == "It ends.\n\nit had not ended after 0.1 s\n\nuntil then:"


@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_what_is_left_behind_is_told(backend: Any) -> None:
    """Sockets, and on asyncio tasks."""
    kept: list[socket.socket] = []

    async def leave(stage: Any) -> None:
        kept.append(socket.create_server(("127.0.0.1", 0)))
        if backend != "trio":
            kept_tasks.append(asyncio.ensure_future(asyncio.sleep(60)))

    kept_tasks: list[Any] = []
    promise = servers.Promise("it_leaves_nothing", "It leaves nothing.", leave)

    with pytest.raises(servers.PromiseNotKeptError) as caught:
        promise.check(naive, backend=backend)

    tasks = 0 if backend == "trio" else 1
    assert f"{tasks} tasks and 1 sockets are left behind: " in str(caught.value)
    assert f"{kept[0].getsockname()}, inode " in str(caught.value)
    kept[0].close()
