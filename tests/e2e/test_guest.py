"""A system in a process that belongs to a server: uvicorn, alone or as workers, or gunicorn."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.kit import GENEROUS, Process, running

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path(__file__).parent / "programs"
ALONE = ["uvicorn", "fastapi run"]
WORKERS = ["uvicorn --workers", "gunicorn"]

LONG = {"LIFECYCLE_GRACE_PERIOD": "90", "LIFECYCLE_DRAIN_DELAY": "60"}
"""Nothing here waits for the delay: an interrupt ends it."""


def command(runner: str, *options: str) -> list[str]:
    """What a person types."""
    python = [sys.executable, "-m"]
    uvicorn = [*python, "uvicorn", "guest_shop:api", "--port", "0", *options]
    worker = ["-k", "uvicorn_worker.UvicornWorker", "--graceful-timeout", "90", "-w", "2"]
    return {
        "uvicorn": uvicorn,
        "uvicorn --workers": [*uvicorn, "--workers", "2"],
        "fastapi run": [*python, "fastapi", "run", "guest_shop.py", "--app", "api", "--port", "0"],
        "gunicorn": [*python, "gunicorn", "guest_shop:api", "-b", "127.0.0.1:0", *worker],
    }[runner]


@contextlib.contextmanager
def serving(
    runner: str, *options: str, goes_wrong: str = "", env: dict[str, str] | None = None
) -> Iterator[Process]:
    """Run the shop in a server's process."""
    env = {**LONG, "GUEST": goes_wrong, "NO_COLOR": "1", **(env or {})}
    with running(*command(runner, *options), env=env, cwd=PROGRAMS) as process:
        yield process


class Client:
    """Somebody who asks a server that listens by now."""

    def __init__(self, process: Process, workers: int = 1) -> None:
        process.until(r"> running", times=workers)
        found = process.until(
            r"(?:[Rr]unning on|Listening at:) (http://127.0.0.1:|.*0\.0\.0\.0:)(\d+)"
        )
        self.address = ("127.0.0.1", int(found[2]))
        self.url = f"http://127.0.0.1:{found[2]}"

    def get(self, path: str) -> httpx.Response:
        """Ask on a new connection."""
        return httpx.get(self.url + path, timeout=GENEROUS, trust_env=False)

    def post(self, path: str) -> httpx.Response:
        """Ask for something to be done."""
        return httpx.post(self.url + path, timeout=GENEROUS, trust_env=False)

    def is_refused(self) -> bool:
        """Whether nobody listens there."""
        try:
            socket.create_connection(self.address, GENEROUS).close()
        except ConnectionRefusedError:
            return True
        return False

    @contextlib.contextmanager
    def slow(self) -> Iterator[socket.socket]:
        """Begin a request that ends when `finish` is called with it."""
        with socket.create_connection(self.address, GENEROUS) as connection:
            connection.sendall(b"POST /slow HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\n.")
            yield connection


def finish(connection: socket.socket) -> bytes:
    """Send the rest of the request, and read until the server closes."""
    connection.sendall(b".")
    return b"".join(iter(lambda: connection.recv(4096), b""))


def pids(process: Process, line: str) -> list[int]:
    """The processes that have said something."""
    return [int(pid) for pid in re.findall(rf"> {line} \[(\d+)\]", process.output)]


@pytest.mark.parametrize(
    ("runner", "to"),
    [
        *((runner, "the process") for runner in [*ALONE, *WORKERS]),
        *((runner, "the group") for runner in WORKERS),
    ],
)
@pytest.mark.rule("D2")
def test_it_drains(runner: str, to: str) -> None:
    """Not ready at once, and still serving, until the delay is over; what is in flight is answered.

    The server stops listening only then, and the components are drained when it has ended. Signals
    that come twice, as in a process group, change nothing.
    """
    workers = 2 if runner in WORKERS else 1
    with serving(runner) as process:
        client = Client(process, workers)
        with client.slow() as request:
            process.until("> slow begins")
            send = process.send if to == "the process" else process.send_group
            send(signal.SIGTERM)
            process.until("> delaying", times=workers)
            send(signal.SIGTERM)
            ready, home = client.get("/internal/ready"), client.get("/")
            for pid in pids(process, "delaying"):
                os.kill(pid, signal.SIGINT)
            process.until("> draining", times=workers)
            answer = finish(request)
        code = process.wait()

    assert 503 == ready.status_code
    assert "delaying" == ready.headers["Lifecycle-Phase"]
    assert (200, "the database") == (home.status_code, home.json())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'"the database"')
    # uvicorn raises the signal once more when it has ended, as without us.
    assert (-signal.SIGTERM if runner in ALONE else 0) == code
    (pid,) = pids(process, "slow ends")
    said = [line for line in process.said if line.endswith(f"[{pid}]")]
    assert [
        "SIGTERM is for Server.handle_exit",
        "starting",
        "running",
        "SIGTERM is for _handle",
        "slow begins",
        "delaying",
        "draining",
        "slow ends",
        "packing drains",
        "closing",
        "database closed",
        "closed",
        "SIGTERM is for Server.handle_exit",
    ] == [line.rpartition(" ")[0] for line in said]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.rule("R1")
def test_a_crash_ends_the_process(loop: str) -> None:
    """What is in flight is answered, everything is closed, and the exit code is that of the run."""
    with serving("uvicorn", "--loop", loop) as process:
        client = Client(process)
        with client.slow() as request:
            process.until("> slow begins")
            client.post("/crash")
            process.until("> draining")
            answer = finish(request)
        code = process.wait()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert 70 == code
    assert "'fragile' crashed: ValueError: broken" in process.output
    assert [1, 1] == [len(pids(process, line)) for line in ("database closed", "closed")]


@pytest.mark.parametrize("runner", WORKERS)
def test_a_worker_that_crashes_is_replaced(runner: str) -> None:
    """It ends with a failure, and those who have started it start another one."""
    with serving(runner) as process:
        client = Client(process, workers=2)
        client.post("/crash")
        process.until("> running", times=3)
        crashed = pids(process, "closed")
        running_now = [pid for pid in pids(process, "running") if pid not in crashed]
        process.send(signal.SIGTERM)
        process.until("> delaying", times=2)
        for pid in running_now:
            os.kill(pid, signal.SIGINT)
        code = process.wait()

    assert 1 == len(crashed)
    assert 2 == len(running_now)
    assert 0 == code
    if runner == "gunicorn":
        assert f"Worker (pid:{crashed[0]}) exited with code 70" in process.output


@pytest.mark.parametrize(
    ("runner", "code"),
    # With --workers, uvicorn itself gives up, and has no code for that.
    [("uvicorn", 3), ("uvicorn --workers", 0), ("gunicorn", 3)],
)
@pytest.mark.rule("S3")
def test_a_start_that_fails(runner: str, code: int) -> None:
    """The process ends, with uvicorn's code for that, and a person reads why."""
    with serving(runner, goes_wrong="the start") as process:
        assert code == process.wait()

    assert "'database' did not start: NoDatabaseError: the database is not reachable" in (
        process.output
    )
    assert [] == pids(process, "running")


@pytest.mark.rule("S6")
def test_sigterm_during_the_start() -> None:
    """What had started is stopped again, and the process ends as uvicorn does without us."""
    with serving("uvicorn", goes_wrong="a slow start") as process:
        process.until("> database hangs")
        process.send(signal.SIGTERM)
        assert -signal.SIGTERM == process.wait()

    assert "Traceback" not in process.output
    assert [] == pids(process, "running")


@pytest.mark.rule("D8")
def test_a_blocked_loop_does_not_keep_the_process() -> None:
    """The grace period is the longest that it lasts; the exit code is that of the run."""
    limits = {"LIFECYCLE_GRACE_PERIOD": "2", "LIFECYCLE_DRAIN_DELAY": "0"}
    with serving("uvicorn", goes_wrong="the stop", env=limits) as process:
        Client(process)
        process.send(signal.SIGTERM)
        assert 75 == process.wait()

    assert "the grace period of 2 s is over, and the process has not ended" in process.output


def test_a_second_interrupt_ends_it_at_once() -> None:
    """What is in flight is cut off, everything is closed all the same; exit code 130."""
    with serving("uvicorn") as process:
        client = Client(process)
        with client.slow() as request:
            process.until("> slow begins")
            process.send(signal.SIGINT)
            # Later than what is taken for a duplicate.
            process.until("Waiting for connections to close")
            process.send(signal.SIGINT)
            answer = request.recv(4096)
            assert process.wait() == 130

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert 1 == len(pids(process, "database closed"))


@pytest.mark.parametrize("code", [0, 7])
def test_whoever_asks_for_the_end_says_the_exit_code(code: int) -> None:
    """Without a signal too, after the delay."""
    with serving("uvicorn", env={"LIFECYCLE_DRAIN_DELAY": "0"}) as process:
        Client(process).post(f"/shut-down?code={code}")
        assert code == process.wait()

    assert 1 == len(pids(process, "database closed"))


def test_probes_are_answered_until_the_end() -> None:
    """Also when the server does not listen any more; and before it does."""
    with serving("uvicorn", env={"LIFECYCLE_PROBES": "127.0.0.1:0"}) as process:
        client = Client(process)
        port = process.until(r"probes are answered at 127\.0\.0\.1:(\d+)")[1]
        ready = f"http://127.0.0.1:{port}/ready"
        with client.slow() as request:
            process.until("> slow begins")
            before = httpx.get(ready, trust_env=False)
            process.send(signal.SIGINT)
            process.until("Waiting for connections to close")
            refused, meanwhile = client.is_refused(), httpx.get(ready, trust_env=False)
            finish(request)
        process.wait()

    assert (200, True, 503) == (before.status_code, refused, meanwhile.status_code)
    assert "draining" == meanwhile.headers["Lifecycle-Phase"]
