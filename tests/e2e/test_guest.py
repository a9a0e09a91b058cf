"""A system in a process that belongs to a server: uvicorn, alone or as workers, or gunicorn."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect, unix_connect

from tests.e2e.kit import GENEROUS, Process, running

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
LONG = {"LIFECYCLE_GRACE_PERIOD": "90", "LIFECYCLE_DRAIN_DELAY": "60"}
"""Nothing here waits for the delay: an interrupt ends it."""
PATIENT = {"UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "20"}
"""A worker that has not answered for 5 s is killed, and on a busy machine its start takes long.

Not much more: one that ends while it is asked is waited for as long, before it is replaced.
"""


def command(runner: str, *options: str) -> list[str]:
    """What a person types."""
    python = [sys.executable, "-m"]
    plain = "guest_plain:app"
    uvicorn = [*python, "uvicorn", plain, "--port", "0"]
    fastapi = [*python, "fastapi", "run", "guest_fastapi.py", "--app", "api", "--port", "0"]
    worker = ["-k", "uvicorn_worker.UvicornWorker", "--graceful-timeout", "90", "-w", "2"]
    gunicorn = [*python, "gunicorn", plain, "-b", "127.0.0.1:0", *worker]
    hypercorn = [*python, "hypercorn", plain, "-b", "127.0.0.1:0", "--graceful-timeout", "90"]
    granian = [*python, "granian", "--interface", "asgi", plain]
    commands = {
        "uvicorn": uvicorn,
        "uvicorn --workers": [*uvicorn, "--workers", "2"],
        "fastapi run": fastapi,
        "gunicorn": gunicorn,
        "granian": granian,
        "hypercorn": hypercorn,
    }
    return [*commands[runner], *options]


@contextlib.contextmanager
def serving(
    runner: str, *options: str, goes_wrong: str = "", env: dict[str, str] | None = None
) -> Iterator[Process]:
    """Run the shop in a server's process."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {
        **LONG,
        **PATIENT,
        "GUEST": goes_wrong,
        "NO_COLOR": "1",
        "PYTHONPATH": path,
        **(env or {}),
    }
    with running(*command(runner, *options), env=env, cwd=PROGRAMS) as process:
        yield process


class Client:
    """Somebody who asks a server that listens by now."""

    def __init__(self, process: Process, workers: int = 1, socket_at: Path | None = None) -> None:
        process.until("> running", times=workers)
        self.path = None if socket_at is None else str(socket_at)
        self.port = 80
        if self.path is None:
            where = r"(?:[Rr]unning on|Listening at:) .*(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)"
            self.port = int(process.until(where)[1])
        self._until_it_listens()

    def get(self, path: str, method: str = "GET") -> httpx.Response:
        """Ask on a new connection."""
        transport = httpx.HTTPTransport(uds=self.path, retries=0)
        with httpx.Client(transport=transport, timeout=GENEROUS) as client:
            return client.request(method, f"http://127.0.0.1:{self.port}{path}")

    def post(self, path: str) -> httpx.Response:
        """Ask for something to be done."""
        return self.get(path, "POST")

    def connect(self) -> socket.socket:
        """Connect."""
        kind, address = self._address
        connection = socket.socket(kind)
        connection.settimeout(GENEROUS)
        connection.connect(address)
        return connection

    def is_refused(self) -> bool:
        """Whether nobody listens there."""
        kind, address = self._address
        with socket.socket(kind) as connection:
            return connection.connect_ex(address) == errno.ECONNREFUSED

    @property
    def _address(self) -> tuple[int, Any]:
        if self.path is None:
            return socket.AF_INET, ("127.0.0.1", self.port)
        return socket.AF_UNIX, self.path

    def _until_it_listens(self) -> None:
        # Some do not say when they do, which is a moment after the lifespan: one has to try.
        deadline = time.monotonic() + GENEROUS
        while self.is_refused():
            assert time.monotonic() < deadline, "nobody listens"
            threading.Event().wait(0.02)

    def chat(self) -> ClientConnection:
        """Open a websocket."""
        if self.path is None:
            url = f"ws://127.0.0.1:{self.port}/chat"
            return connect(url, proxy=None, open_timeout=GENEROUS, close_timeout=GENEROUS)
        return unix_connect(
            self.path, "ws://shop/chat", open_timeout=GENEROUS, close_timeout=GENEROUS
        )

    @contextlib.contextmanager
    def slow(self) -> Iterator[socket.socket]:
        """Begin a request that ends when `finish` is called with it."""
        with self.connect() as connection:
            connection.sendall(b"POST /slow HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\n.")
            yield connection


def looked_at(url: str) -> httpx.Response:
    """Ask a probe, and wait for it as long as it takes."""
    return httpx.get(url, timeout=GENEROUS, trust_env=False)


def drained_at(probes: str) -> list[str]:
    """How a service is drained by a preStop hook that waits for the answer as long as it takes."""
    options = ["--address", probes, "--timeout", f"{GENEROUS:g}"]
    return [sys.executable, "-m", "lifecycle", "drain", *options]


def finish(connection: socket.socket) -> bytes:
    """Send the rest of the request, and read until the server closes."""
    connection.sendall(b".")
    return b"".join(iter(lambda: connection.recv(4096), b""))


def pids(process: Process, line: str) -> list[int]:
    """The processes that have said something."""
    return [int(pid) for pid in re.findall(rf"> {line} \[(\d+)\]", process.output)]


def sequence(process: Process, pid: int) -> list[str]:
    """What one process has said, in order."""
    mark = f" [{pid}]"
    return [line.removesuffix(mark) for line in process.said if line.endswith(mark)]


DRAINED = [
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
    "app ends",
    "database closed",
    "closed",
    "SIGTERM is for Server.handle_exit",
]


@pytest.mark.parametrize("runner", ["uvicorn", "fastapi run"])
@pytest.mark.rule("D2")
def test_it_drains(runner: str) -> None:
    """Not ready at once, and still serving, until the delay is over; what is in flight is answered.

    The server stops listening only then, and the components are drained when it has ended. A signal
    that comes twice changes nothing.
    """
    with serving(runner) as process:
        client = Client(process)
        with client.slow() as request:
            process.until("> slow begins")
            process.send(signal.SIGTERM)
            process.until("> delaying")
            process.send(signal.SIGTERM)
            ready, home = client.get("/internal/ready"), client.get("/")
            process.send(signal.SIGINT)
            process.until("> draining")
            answer = finish(request)
        code = process.wait()

    assert (503, "delaying") == (ready.status_code, ready.headers["Lifecycle-Phase"])
    assert (200, "the database") == (home.status_code, home.text.strip('"'))
    assert answer.startswith(b"HTTP/1.1 200 ")
    # uvicorn raises the signal once more when it has ended, as without us.
    assert -signal.SIGTERM == code
    (pid,) = pids(process, "slow ends")
    expected = list(DRAINED)
    if runner == "fastapi run":  # where the app's own part of the lifespan is around ours
        expected.remove("app ends")
        expected.insert(expected.index("slow ends") + 1, "app ends")
    assert expected == sequence(process, pid)


@pytest.mark.parametrize(
    ("runner", "to"), [("uvicorn --workers", "the group"), ("gunicorn", "the process")]
)
@pytest.mark.rule("R1", "D2")
def test_so_do_workers(runner: str, to: str) -> None:
    """And one that crashes before that ends with a failure, and is replaced.

    A process group delivers signals twice: to the workers, and to who passes them on.
    """
    with serving(runner) as process:
        client = Client(process, workers=2)
        client.post("/crash")
        process.until("> running", times=3)
        (crashed,) = pids(process, "closed")
        with client.slow() as request:
            process.until("> slow begins")
            send = process.send if to == "the process" else process.send_group
            send(signal.SIGTERM)
            process.until("> delaying", times=2)
            ready, home = client.get("/internal/ready"), client.get("/")
            for pid in pids(process, "delaying"):
                os.kill(pid, signal.SIGINT)
            process.until("> draining", times=3)
            answer = finish(request)
        code = process.wait()

    assert (503, "delaying") == (ready.status_code, ready.headers["Lifecycle-Phase"])
    assert 200 == home.status_code
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert 0 == code
    (pid,) = pids(process, "slow ends")
    assert DRAINED == sequence(process, pid)
    assert crashed not in pids(process, "delaying")
    if runner == "gunicorn":
        assert f"Worker (pid:{crashed}) exited with code 70" in process.output


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


@pytest.mark.parametrize(
    ("runner", "codes"),
    # gunicorn ends with 1 where its second worker ends while it deals with the end of the first.
    [("uvicorn", (3,)), ("gunicorn", (3, 1))],
)
@pytest.mark.rule("S3")
def test_a_start_that_fails(runner: str, codes: tuple[int, ...]) -> None:
    """The process ends, with uvicorn's code for that, and a person reads why."""
    with serving(runner, goes_wrong="the start") as process:
        assert process.wait() in codes

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


@pytest.mark.rule("S6")
def test_sigterm_before_the_start() -> None:
    """One that uvicorn has taken itself counts: nothing is started."""
    with serving("uvicorn", goes_wrong="the end comes first") as process:
        assert process.wait() == -signal.SIGTERM

    assert "Traceback" not in process.output
    assert [0, 0, 1] == [len(pids(process, line)) for line in ("starting", "running", "closed")]


@pytest.mark.rule("D8")
def test_a_blocked_loop_does_not_keep_the_process() -> None:
    """The grace period is the longest that it lasts; the exit code is that of the run."""
    # From 5 s on the watchdog has most time to act, before the process is ended by force.
    limits = {"LIFECYCLE_GRACE_PERIOD": "5", "LIFECYCLE_DRAIN_DELAY": "0"}
    with serving("uvicorn", goes_wrong="the stop", env=limits) as process:
        Client(process)
        process.send(signal.SIGTERM)
        assert 75 == process.wait()

    assert "the grace period of 5 s is over, and the process has not ended" in process.output


@pytest.mark.rule("D4")
def test_an_endless_stream_does_not_keep_it() -> None:
    """It is cut off when the time to drain is over, its client sees an end; exit code 75."""
    limits = {"LIFECYCLE_SERVER_DRAIN_TIMEOUT": "0.2", "LIFECYCLE_DRAIN_DELAY": "0"}
    with serving("uvicorn", env=limits) as process:
        client = Client(process)
        with client.connect() as stream:
            stream.sendall(b"GET /endless HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")
            process.send(signal.SIGTERM)
            rest = b"".join(iter(lambda: stream.recv(4096), b""))
        assert process.wait() == 75

    assert rest.endswith(b"0\r\n\r\n")
    (pid,) = pids(process, "stream ends")
    assert [
        "draining",
        "stream ends",
        "packing drains",
        "closing",
        "app ends",
        "database closed",
        "closed",
        "SIGTERM is for Server.handle_exit",
    ] == sequence(process, pid)[4:]
    assert "work of server was cut off: ('GET /endless',)" in process.output


def test_a_client_that_does_not_read_does_not_keep_it() -> None:
    """Uvicorn would wait for it for ever: when everything else has ended, so does the process."""
    limits = {"LIFECYCLE_SERVER_DRAIN_TIMEOUT": "0.2", "LIFECYCLE_DRAIN_DELAY": "0"}
    with serving("uvicorn", env=limits) as process:
        client = Client(process)
        with client.connect() as stream:
            stream.sendall(b"GET /large HTTP/1.1\r\nHost: shop\r\n\r\n")
            process.until("> large begins")
            process.send(signal.SIGTERM)
            assert process.wait() == 75

    assert 1 == len(pids(process, "database closed"))
    assert "The system was shut down, but not everything could be finished." in process.output


def test_a_port_that_is_taken() -> None:
    """Uvicorn finds that last; everything is closed again, and the exit code is uvicorn's."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with serving("uvicorn", "--port", port) as process:
            assert process.wait() in (1, 3)  # it was 1 in older versions

    assert 1 == len(pids(process, "database closed"))
    assert "address already in use" in process.output


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
            before = looked_at(ready)
            process.send(signal.SIGINT)
            process.until("Waiting for connections to close")
            refused, meanwhile = client.is_refused(), looked_at(ready)
            finish(request)
        process.wait()

    assert (200, True, 503) == (before.status_code, refused, meanwhile.status_code)
    assert "draining" == meanwhile.headers["Lifecycle-Phase"]


# --- servers that cannot be told to wait: `lifecycle drain` comes first -------------------------


@pytest.mark.parametrize("runner", ["granian", "hypercorn", "uvicorn"])
@pytest.mark.rule("D1", "D2")
def test_drained_before_sigterm(runner: str, tmp_path: Path) -> None:
    """As by a preStop hook: not ready, still serving, then SIGTERM; what is in flight is answered.

    Where the server can be told to wait, the delay is not spent twice.
    """
    env = {"LIFECYCLE_PROBES": "127.0.0.1:0", "LIFECYCLE_DRAIN_DELAY": "1"}
    socket_at = tmp_path / "socket" if runner == "granian" else None
    options = ["--uds", str(socket_at)] if runner == "granian" else []
    with serving(runner, *options, env=env) as process:
        client = Client(process, socket_at=socket_at)
        probes = process.until(r"probes are answered at (127\.0\.0\.1:\d+)")[1]
        with client.slow() as request:
            process.until("> slow begins")
            with subprocess.Popen(drained_at(probes), stdout=subprocess.PIPE) as draining:
                process.until("> delaying")
                ready = looked_at(f"http://{probes}/ready")
                if runner != "uvicorn":  # whose delay is over when it is over
                    home, inside = client.get("/"), client.get("/internal/ready")
                    assert [200, 503] == [home.status_code, inside.status_code]
                draining.communicate(timeout=GENEROUS)
            process.until("> draining")
            process.send(signal.SIGTERM)
            answer = finish(request)
        code = process.wait()

    assert (0, 503) == (draining.returncode, ready.status_code)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert 0 == code
    assert [
        "starting",
        "running",
        "slow begins",
        "delaying",
        "draining",
        "slow ends",
        "packing drains",
        "closing",
        "app ends",
        "database closed",
        "closed",
    ] == [line.rpartition(" ")[0] for line in process.said if not line.startswith("SIGTERM")]


@pytest.mark.parametrize("runner", ["granian", "uvicorn"])
def test_websockets_are_told(runner: str, tmp_path: Path) -> None:
    """They are closed with code 1012 before the server is told to end, which would drop them."""
    env = {"LIFECYCLE_PROBES": "127.0.0.1:0", "LIFECYCLE_DRAIN_DELAY": "0"}
    socket_at = tmp_path / "socket" if runner == "granian" else None
    options = ["--uds", str(socket_at)] if runner == "granian" else []
    with serving(runner, *options, env=env) as process:
        client = Client(process, socket_at=socket_at)
        probes = process.until(r"probes are answered at (127\.0\.0\.1:\d+)")[1]
        with client.chat() as websocket:
            if runner == "granian":
                subprocess.run(drained_at(probes), check=True, capture_output=True)
            process.send(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(GENEROUS)
        code = process.wait()

    assert closed.value.rcvd is not None
    assert 1012 == closed.value.rcvd.code
    assert (0 if runner == "granian" else -signal.SIGTERM) == code
    assert 1 == len(pids(process, "websocket: websocket.disconnect 1012"))


@pytest.mark.parametrize(
    ("runner", "code"),
    # That of the run is 70. hypercorn asks its worker for no reason, and has no code for that.
    [("granian", 1), ("hypercorn", 0)],
)
@pytest.mark.rule("R1")
def test_a_crash_ends_a_worker_of_theirs(runner: str, code: int, tmp_path: Path) -> None:
    """What is in flight is answered, everything is closed, and nobody answers any more."""
    socket_at = tmp_path / "socket" if runner == "granian" else None
    options = ["--uds", str(socket_at)] if runner == "granian" else []
    with serving(runner, *options) as process:
        client = Client(process, socket_at=socket_at)
        with client.slow() as request:
            process.until("> slow begins")
            client.post("/crash")
            process.until("> draining")
            answer = finish(request)
        assert process.wait() == code

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert "The system was shut down because a component crashed. Exit code 70." in process.output
    assert 1 == len(pids(process, "database closed"))


@pytest.mark.parametrize(
    ("runner", "code"),
    # These ask a worker that they have told to end for no code.
    [("granian", 0), ("hypercorn", 0), ("uvicorn", 75)],
)
def test_a_bad_end_after_sigterm_leaves_the_lifespan_in_order(
    runner: str, code: int, tmp_path: Path
) -> None:
    """The server was ending: what the app has around its lifespan comes to its end, too.

    A person reads once what went wrong.
    """
    env = {"LIFECYCLE_DRAIN_DELAY": "0"}
    socket_at = tmp_path / "socket" if runner == "granian" else None
    options = ["--uds", str(socket_at)] if runner == "granian" else []
    with serving(runner, *options, goes_wrong="the last word", env=env) as process:
        Client(process, socket_at=socket_at).get("/")
        process.send(signal.SIGTERM)
        assert code == process.wait()

    said = [line.rpartition(" ")[0] for line in process.said]
    assert ["database closed", "closed"] == said[-3:-1]
    assert said[-1].startswith("SIGTERM is for")  # it is said behind the lifespan of the system
    assert 1 == process.output.count("not everything could be finished. Exit code 75.")


@pytest.mark.rule("D8")
def test_a_last_word_that_nobody_reads() -> None:
    """A log driver that hangs, say: it ends with the grace period, and with the code it has."""
    env = {"LIFECYCLE_GRACE_PERIOD": "5", "LIFECYCLE_DRAIN_DELAY": "0"}
    unread = "a last word that nobody reads"
    with serving("uvicorn", goes_wrong=unread, env=env) as process:
        process.until("SIGTERM is for _handle")
        process.send(signal.SIGTERM)

        assert process.wait() == 75
    assert "database closed" in process.output
