"""Websockets of a real server, at the end of a real process."""

from __future__ import annotations

import contextlib
import json
import signal
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.kit import GENEROUS, SERVERS, Process, running_program

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Run each test with each of the servers."""
    name: str = request.param
    return name


@contextlib.contextmanager
def serving(server: str) -> Iterator[tuple[Process, str]]:
    """Run the server; give where its websockets are."""
    with running_program(__file__, "chats", *server.split()) as process:
        url = process.until(r"web listens at http(.*)$")[1]
        process.until(r" running$")
        yield process, f"ws{url}"


def connected(url: str) -> ClientConnection:
    """Connect, without a proxy."""
    return connect(url, proxy=None, open_timeout=GENEROUS, close_timeout=GENEROUS)


def end_of(websocket: ClientConnection) -> tuple[list[str], int | None, str | None]:
    """Read to the end: what was said, and with which code and reason it was closed."""
    said: list[str] = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            said.append(str(websocket.recv(timeout=GENEROUS)))
    return said, websocket.close_code, websocket.close_reason


def test_one_that_the_app_does_not_end(server: str) -> None:
    """It is closed in the drain: service restart. The app is told, and nothing was cut off."""
    with serving(server) as (process, url), connected(f"{url}/echo") as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=GENEROUS) == "hello of the database"
        process.send(signal.SIGTERM)
        end = end_of(websocket)
        assert process.wait() == 0

    assert end == ([], 1012, "the service is shutting down")
    assert process.said == ["echo ended with 1012", "database closed"]
    assert "closed: clean, exit code 0" in process.output


def test_one_that_ends_itself(server: str) -> None:
    """It hears of the drain before it is closed, and has the last word."""
    with serving(server) as (process, url), connected(f"{url}/ticks") as websocket:
        assert websocket.recv(timeout=GENEROUS) == "1"
        process.send(signal.SIGTERM)
        end = end_of(websocket)
        assert process.wait() == 0

    assert end == (["goodbye"], 1001, "the shop closes")
    assert process.said == ["ticks ended", "database closed"]


def test_one_that_cannot_be_served(server: str) -> None:
    """A 503 that says when to come back, and not a 403, which says that it is forbidden."""
    with serving(server) as (process, url):
        with pytest.raises(InvalidStatus) as refused:
            connected(f"{url}/cached")
        process.send(signal.SIGTERM)
        assert process.wait() == 0

    response = refused.value.response
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert json.loads(response.body or b"") == {"error": "'cache' is not ready"}
