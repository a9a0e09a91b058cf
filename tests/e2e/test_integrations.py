"""Each integration in a real process, in each kind of trouble, beside something that it uses.

What is not in here has tests of its own: web servers whose lifespan fails to start, or that are
told to end meanwhile, in test_web; calls of gRPC that do not end in test_grpc; a system inside
somebody else's process in test_guest; systemd itself in tests/systemd.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kit import GENEROUS, SERVERS, Fifo, Process, running_program
from tests.edges.systemd.kit import Receiver
from tests.edges.temporal.frontend import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOT_STARTED = "The system did not start, and what had started was stopped again. Exit code 69."
NOT_FINISHED = "The system was shut down, but not everything could be finished. Exit code 75."
CRASHED = "The system was shut down because a component crashed. Exit code 70."
OUT_OF_MEMORY = (
    "ProcessError: it exited with code 3, and was to run. The last lines of its stderr:\n"
    "      | out of memory"
)


class Stage:
    """Where the program of a test runs, with whom it talks."""

    def __init__(self, folder: Path, until_the_end: contextlib.ExitStack) -> None:
        self._with = until_the_end
        self._fifo = Fifo(folder)
        self._with.callback(self._fifo.close)
        self._notify = folder / "notify"

    def run(self, name: str, trouble: str, port: int = 0) -> Process:
        """Run it: an integration and an event loop, in a trouble, with a port."""
        integration, _, backend = name.rpartition(" ")
        arguments = (integration, backend, trouble, str(port), str(self._fifo.path))
        env = {"NOTIFY_SOCKET": str(self._notify)} if integration == "systemd" else None
        return self._with.enter_context(running_program(__file__, "part", *arguments, env=env))

    def somebody(self, *, listens: bool) -> socket.socket:
        """Have a port taken by somebody, who takes connections, or refuses them."""
        one = self._with.enter_context(socket.socket())
        one.settimeout(GENEROUS)
        one.bind(("127.0.0.1", 0))
        if listens:
            one.listen()
        return one

    def systemd(self) -> Receiver:
        """Have somebody who is told what systemd would be."""
        receiver = Receiver(str(self._notify))
        self._with.callback(receiver.close)
        return receiver

    def ended(self, process: Process, code: int, *said: str) -> list[str]:
        """See that it ends with this code, in this order, and that nobody is left.

        Returns:
            What a person reads first of the account.

        """
        assert process.wait() == code, process.output
        assert self._fifo.read_to_the_end() == ""
        assert process.said == [*said]
        account = process.output.partition("lifecycle: The ")
        return "".join(account[1:]).removeprefix("lifecycle: ").partition("\n\n")[0].splitlines()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Give each test its own; nothing of it is left."""
    with contextlib.ExitStack() as until_the_end:
        yield Stage(tmp_path, until_the_end)


def port_of(one: socket.socket) -> int:
    """Give the port of a socket."""
    port: int = one.getsockname()[1]
    return port


def is_told(told: list[str], beginning: str) -> bool:
    """Whether one of the messages begins so."""
    return any(one.startswith(beginning) for one in told)


# --- a start that fails --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SERVERS, "grpc asyncio", "grpc sync asyncio"])
@pytest.mark.rule("S3")
def test_a_port_that_is_taken(name: str, stage: Stage) -> None:
    """Exit 69, with the address and why; what had started is closed."""
    port = port_of(stage.somebody(listens=True))
    process = stage.run(name, "none", port)

    assert stage.ended(process, 69, "database closed") == [
        NOT_STARTED,
        (
            f"  'part' did not start: OSError: [Errno 98] cannot listen on 127.0.0.1:{port}: "
            "Address already in use"
        ),
    ]


@pytest.mark.rule("S3")
def test_a_program_that_does_not_start(stage: Stage) -> None:
    """Exit 69, with its code and its last words; what had started is closed."""
    process = stage.run("process asyncio", "start")

    assert stage.ended(process, 69, "database closed") == [
        NOT_STARTED,
        (
            "  'part' did not start: ProcessError: it exited with code 78 before it was ready, "
            "which waited for a line that matches 'up' on its output. The last lines of its stderr:"
        ),
        "      | php-fpm: unable to bind: Address already in use",
    ]


@pytest.mark.rule("S3")
def test_a_temporal_that_refuses_connections(stage: Stage) -> None:
    """Exit 69, with its address and what the system said; what had started is closed."""
    port = port_of(stage.somebody(listens=False))
    process = stage.run("temporal asyncio", "none", port)

    summary, sentence = stage.ended(process, 69, "database closed")
    assert summary == NOT_STARTED
    assert sentence.startswith(
        f"  'client' did not start: ConnectionError: cannot connect to Temporal at 127.0.0.1:{port}"
    )
    assert "Connection refused" in sentence


@pytest.mark.rule("S3")
def test_systemd_is_told_of_a_start_that_fails(stage: Stage) -> None:
    """Of who and of the kind of error, and not that it is ready."""
    systemd = stage.systemd()
    process = stage.run("systemd trio", "start")

    assert stage.ended(process, 69, "database closed") == [
        NOT_STARTED,
        "  'part' did not start: GoneError: the database is not reachable",
    ]
    told = systemd.read()
    assert not is_told(told, "READY=1")
    assert is_told(told, "STOPPING=1, STATUS=start failed: part (GoneError)")
    assert told[-1].startswith("STATUS=start failed: part (GoneError)")


# --- SIGTERM while it starts ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grpc sync asyncio", "process asyncio", "process trio"])
@pytest.mark.rule("S6")
def test_sigterm_while_it_starts(name: str, stage: Stage) -> None:
    """What has begun is given up, what had started is closed, and that is no failure."""
    process = stage.run(name, "starting")
    process.until("begun$")
    process.send(signal.SIGTERM)

    begun = ["begun"] if name.startswith("grpc") else []  # a program's words are in the log
    assert stage.ended(process, 0, *begun, "database closed", "run returned") == []
    assert "Traceback" not in process.output


@pytest.mark.rule("S6")
def test_sigterm_while_temporal_does_not_answer(stage: Stage) -> None:
    """The client gives up, what had started is closed, and that is no failure."""
    temporal = stage.somebody(listens=True)
    process = stage.run("temporal asyncio", "none", port_of(temporal))
    connection, _ = temporal.accept()
    with connection:
        process.send(signal.SIGTERM)

        assert stage.ended(process, 0, "database closed", "run returned") == []
    assert "Traceback" not in process.output


@pytest.mark.rule("S6")
def test_systemd_is_told_of_sigterm_while_it_starts(stage: Stage) -> None:
    """That it stops, and not that it is ready."""
    systemd = stage.systemd()
    process = stage.run("systemd trio", "starting")
    process.until("> begun")
    process.send(signal.SIGTERM)

    assert stage.ended(process, 0, "begun", "database closed", "run returned") == []
    told = systemd.read()
    assert not is_told(told, "READY=1")
    assert is_told(told, "STOPPING=1")
    assert told[-1].startswith("STATUS=closed")


# --- a stop that hangs ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.rule("D8")
def test_a_lifespan_that_does_not_end(name: str, stage: Stage) -> None:
    """It is left behind when its time is over, deaf as it is: 75, with the app's line."""
    process = stage.run(name, "hang")
    process.until("> running")
    process.send(signal.SIGTERM)

    left = ["part abandoned in its stop", "part stopped"]
    assert stage.ended(process, 75, "running", *left, "database closed") == [
        NOT_FINISHED,
        (
            "  the stop hook of 'part' had not ended after 0.5 s and was cancelled; "
            "it ignored that and was abandoned"
        ),
    ]
    assert "in its task 'lifecycle: lifespan':" in process.lines
    assert "    await go_on_for_ever()" in process.lines


@pytest.mark.parametrize("name", ["process asyncio", "process trio"])
@pytest.mark.rule("D8")
def test_a_program_that_does_not_end(name: str, stage: Stage) -> None:
    """It is killed, with all that it has started, before what it uses is closed: 75, by name."""
    process = stage.run(name, "hang")
    process.until("> running")
    process.send(signal.SIGTERM)

    account = stage.ended(process, 75, "running", "part stopped", "database closed")
    assert account[:3] == [
        NOT_FINISHED,
        "  'part' had not drained when its 0.2 s to drain ran out; its drain was cancelled",
        (
            "  the stop hook of 'part' failed: ProcessError: it went on after SIGTERM, and was "
            "killed. The last lines of its stdout:"
        ),
    ]


@pytest.mark.rule("D8")
def test_an_activity_that_does_not_end(stage: Stage) -> None:
    """Its thread is left behind when its time is over: 75, by name."""
    with serving() as temporal:
        process = stage.run("temporal asyncio", "hang", int(temporal.target.partition(":")[2]))
        process.until("> running")
        temporal.add("orders", "stuck")
        process.until("> begun")
        process.send(signal.SIGTERM)

        left = ["part abandoned in its stop", "part stopped"]
        account = stage.ended(process, 75, "running", "begun", *left, "database closed")
    assert account[0] == NOT_FINISHED
    assert account[1].endswith("it was cancelled: 'stuck of workflow-of-stuck-1'")


# --- a crash -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        *((name, "GoneError: the database is gone") for name in SERVERS),
        ("grpc asyncio", "RuntimeError: gRPC's server has ended by itself"),
        ("process asyncio", OUT_OF_MEMORY),
        ("process trio", OUT_OF_MEMORY),
    ],
)
@pytest.mark.rule("R1")
def test_a_crash(name: str, cause: str, stage: Stage) -> None:
    """Exit 70 with the cause; what it used is closed behind it."""
    process = stage.run(name, "crash")

    account = stage.ended(process, 70, "running", "part stopped", "database closed")
    assert "\n".join(account).startswith(f"{CRASHED}\n  'part' crashed: {cause}")


@pytest.mark.rule("R1")
def test_a_worker_that_crashes(stage: Stage) -> None:
    """Exit 70 with what Temporal only logs; what it used is closed behind it."""
    with serving() as temporal:
        process = stage.run("temporal asyncio", "crash", int(temporal.target.partition(":")[2]))
        process.until("> running")
        temporal.add("orders", "broken")

        account = stage.ended(process, 70, "running", "part stopped", "database closed")
    assert account == [
        CRASHED,
        (
            "  'part' crashed: RuntimeError: Activity worker failed: BrokenExecutor: "
            "the pool of threads is broken"
        ),
    ]


@pytest.mark.rule("R1")
def test_systemd_is_told_of_a_crash(stage: Stage) -> None:
    """That it was ready, and that it stops."""
    systemd = stage.systemd()
    process = stage.run("systemd trio", "crash")

    assert stage.ended(process, 70, "running", "part stopped", "database closed") == [
        CRASHED,
        "  'part' crashed: GoneError: the database is gone",
    ]
    told = systemd.read()
    assert is_told(told, "READY=1")
    assert is_told(told, "STOPPING=1, STATUS=crashed: part (GoneError)")
    assert told[-1].startswith("STATUS=crashed: part (GoneError)")
