"""How a program ends does not depend on whether anybody can be told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.e2e.kit import running

CLOSED = "2>&-"
FULL = "2>/dev/full"
OPEN = ""


def code_of(
    redirection: str, program: str, backend: str, end: str, *, unbuffered: bool = False
) -> int:
    """Run a program whose stderr is somewhere else; how it ends."""
    path = Path(__file__).parent / "programs" / f"{program}.py"
    return code(redirection, path, backend, end, unbuffered=unbuffered)


def code(redirection: str, *arguments: str | Path, unbuffered: bool = False) -> int:
    """Run Python with its stderr somewhere else; how it ends."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
    env = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1" if unbuffered else "",
    }
    command = ("sh", "-c", f'exec "$0" "$@" {redirection}', sys.executable, *arguments)
    with running(*command, env=env) as process:
        return process.wait()


@pytest.fixture(params=[CLOSED, FULL])
def nowhere(request: pytest.FixtureRequest, backend: str) -> str:
    """Give what makes a stderr of which nothing comes out."""
    if request.param == CLOSED and backend == "uvloop":
        pytest.skip("libuv aborts where it is given the descriptor of stderr for something else")
    if request.param == FULL and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    where: str = request.param
    return where


@pytest.mark.parametrize(
    ("end", "expected"),
    [("a crash", 70), ("a start fails", 69), ("a circle", 78), ("main exits", 1), ("clean", 0)],
)
def test_the_code_is_right_where_stderr_cannot_be_written(
    backend: str, nowhere: str, end: str, expected: int
) -> None:
    """None at all, as of a daemon, or one on a full disk."""
    assert expected == code_of(nowhere, "exit_codes", backend, end)


@pytest.mark.rule("D8")
def test_what_is_left_behind_is_not_waited_for_where_stderr_cannot_be_written(
    backend: str, nowhere: str
) -> None:
    """It would be until the end of the grace period, which is far away."""
    assert 70 == code_of(nowhere, "unread", backend, "left behind")


def test_the_third_interrupt_ends_it_also_then(backend: str) -> None:
    """The grace period is long, and there is nothing to wait for but who reads."""
    assert 130 == code_of(OPEN, "unread", backend, "interrupted")


@pytest.mark.rule("D8")
@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("end", ["told at the end", "told as it goes"])
def test_a_stderr_that_nobody_reads_keeps_no_process_alive(
    backend: str, end: str, *, unbuffered: bool
) -> None:
    """A log driver that hangs, say: it ends with the grace period, and with the code it has."""
    assert 70 == code_of(OPEN, "unread", backend, end, unbuffered=unbuffered)


@pytest.mark.rule("D8")
@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("end", ["blocked", "blocked as the threads are told"])
def test_nor_does_it_where_the_loop_is_blocked(backend: str, end: str, *, unbuffered: bool) -> None:
    """Not even the watchdog can say why it ends the process, or not all of it."""
    assert 75 == code_of(OPEN, "unread", backend, end, unbuffered=unbuffered)


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("redirection", [CLOSED, FULL])
def test_nor_does_the_code_of_a_command(command: str, redirection: str) -> None:
    """What is wrong cannot be said; that something is, it can."""
    assert 78 == code(redirection, "-m", "lifecycle", command, "nowhere:shop")
