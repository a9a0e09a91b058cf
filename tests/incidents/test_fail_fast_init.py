"""RoadRunner's `on_init` script failed, the server ran on, and Kubernetes saw a healthy pod.

The wish was a flag that ends the process with the script's own exit code. What came, exits with 1
always, kills only the direct child on a timeout, and leaves started plugins running.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kit import Fifo, Process, running_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Script = Callable[[str], str]

ROLLED_BACK = ["probes started", "probes stopped"]


def program(*args: str) -> AbstractContextManager[Process]:
    """Run the program of these tests."""
    return running_program(__file__, "fail_fast_init", *args)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a script, and give its path."""

    def write(text: str) -> str:
        path = tmp_path / "on_init.sh"
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    """Give proof of who is alive."""
    fifo = Fifo(tmp_path)
    yield fifo
    fifo.close()


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("echo 'connection to db:5432 refused' >&2; exit 3", 3, "connection to db:5432 refused"),
        ("echo x > /nonexistent/cache || exit 73", 73, "/nonexistent/cache"),
    ],
    ids=["database unreachable", "directory not writable"],
)
def test_the_process_ends_with_the_script_s_own_code(
    backend: str, script: Script, text: str, code: int, why: str
) -> None:
    """Nothing is started, what had started is rolled back, and the script's stderr says why."""
    with program(backend, script(text)) as process:
        assert process.wait() == code

    assert process.said == ROLLED_BACK
    account = process.output.partition("lifecycle: The system did not start")[2]
    assert f"preflight check 'on_init' failed: it exited with code {code}" in account
    assert why in account


def test_nothing_of_a_failed_script_is_left(backend: str, script: Script, fifo: Fifo) -> None:
    """What it started and left behind ends with it."""
    text = f"exec 9>'{fifo.path}'; echo here >&9; sleep 1000 & exit 3"
    with program(backend, script(text)) as process:
        assert process.wait() == 3
        assert fifo.read_to_the_end() == "here\n"


def test_a_script_that_hangs_is_killed_with_all_its_children(
    backend: str, script: Script, fifo: Fifo
) -> None:
    """Not only the direct child; there is no code of its own then, so the end is 69."""
    text = f"exec 9>'{fifo.path}'; echo here >&9; sh -c 'trap \"\" TERM; sleep 1000; :' & wait"
    with program(backend, script(text), "short") as process:
        assert process.wait() == 69
        assert fifo.read_to_the_end() == "here\n"
    assert process.said == ROLLED_BACK
    assert "'on_init' failed: it had not ended after 4 s, and was killed" in process.output


def test_sigterm_ends_the_script_too(backend: str, script: Script, fifo: Fifo) -> None:
    """A pod that is deleted while its script runs ends at once, and cleanly."""
    text = f"exec 9>'{fifo.path}'; echo here >&9; echo script runs; sleep 1000"
    with program(backend, script(text)) as process:
        process.until("on_init: script runs")
        process.send(signal.SIGTERM)

        assert process.wait() == 0
        assert fifo.read_to_the_end() == "here\n"
    assert process.said == ROLLED_BACK


def test_a_failure_can_be_tolerated(backend: str, script: Script) -> None:
    """With `fail_on_error=False` the service starts, and the log says loudly what was wrong."""
    with program(backend, script("echo 'no cache' >&2; exit 3"), "tolerated") as process:
        process.until("> http started")
        process.send(signal.SIGTERM)

        assert process.wait() == 0
    assert process.said == [
        "probes started",
        "jobs started",
        "http started",
        "http drained",
        "jobs stopped",
        "probes stopped",
    ]
    tolerated = "tolerated, since fail_on_error is False: "
    assert tolerated in process.output
    assert "no cache" in process.output
