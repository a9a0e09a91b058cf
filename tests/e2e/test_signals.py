"""Which signals reach a program, what they ask for, and whom they leave alone."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kit import Process, running_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from io import FileIO
    from pathlib import Path

STARTED = ["looked", "database opened", "works"]


def program(
    backend: str, mode: str = "", *fifo: Path, env: Mapping[str, str] | None = None
) -> AbstractContextManager[Process]:
    """Run the program of these tests; with a FIFO its work goes on until that is closed here."""
    return running_program(__file__, "signals", backend, mode, *map(str, fifo), env=env)


def held_open(fifo: Path) -> FileIO:
    """Make a FIFO, and hold it open."""
    os.mkfifo(fifo)
    return fifo.open("r+b", buffering=0)  # only to write it would wait for who reads


def ended(name: str) -> list[str]:
    """What it says from a signal on, where that ends it in order."""
    return ["finishes", f"finished because: received {name}", "database closed", "run returned"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGQUIT", "SIGINT"])
def test_signals_that_end_it_in_order(backend: str, name: str) -> None:
    """Each of them alone is a clean end, and the reason of the shutdown."""
    with program(backend) as process:
        process.until("works")
        process.send(signal.Signals[name])

        assert process.wait() == 0
    assert process.said == STARTED + ended(name)


def test_a_signal_wakes_a_loop_that_it_does_not_interrupt(backend: str) -> None:
    """Python calls handlers in the main thread only, which may be asleep in the event loop.

    So it is where another thread takes the signal, or the main one just before it goes to sleep.
    """
    with program(backend, "in another thread") as process:
        assert process.wait() == 0
    assert process.said == STARTED + ended("SIGTERM")


def test_a_repeated_sigterm_changes_nothing(backend: str, tmp_path: Path) -> None:
    """Process groups deliver duplicates: work in flight is finished all the same."""
    fifo = tmp_path / "fifo"
    with held_open(fifo) as work, program(backend, "", fifo) as process:
        process.until("works")
        for _ in range(3):
            process.send(signal.SIGTERM)
        process.until("finishes")
        for _ in range(3):
            process.send(signal.SIGTERM)
        work.close()

        assert process.wait() == 0
    assert process.said == STARTED + ended("SIGTERM")


def test_an_interrupt_ends_the_drain_delay(backend: str) -> None:
    """A signal may escalate; the first request decides the reason."""
    with program(backend, "delay") as process:
        process.until("works")
        process.send(signal.SIGTERM)
        process.until(r"\d delaying$")
        process.send(signal.SIGINT)

        assert process.wait() == 0
    assert process.said == STARTED + ended("SIGTERM")


def test_sigterm_does_not_bring_a_delay_back(backend: str, tmp_path: Path) -> None:
    """After an interrupt there is none (it would be 80 s)."""
    fifo = tmp_path / "fifo"
    with held_open(fifo) as work, program(backend, "delay", fifo) as process:
        process.until("works")
        process.send(signal.SIGINT)
        process.until("finishes")
        process.send(signal.SIGTERM)
        work.close()

        assert process.wait() == 0
    assert process.said == STARTED + ended("SIGINT")


def test_sighup_is_not_touched(backend: str) -> None:
    """It does what it does without us."""
    with program(backend) as process:
        process.until("works")
        process.send(signal.SIGHUP)

        assert process.wait() == -signal.SIGHUP
    assert process.said == STARTED


@pytest.mark.parametrize("when", ["starts", "works", "ends"])
def test_an_interrupt_that_is_left_alone(backend: str, when: str) -> None:
    """It is a KeyboardInterrupt, as in any program: all that is up is stopped, the code is 130."""
    with program(backend, f"interrupts are left alone, and one comes while it {when}") as process:
        if when == "ends":
            process.until("> works")
            process.send(signal.SIGTERM)

        assert process.wait() == 130
    assert process.said[:3] == STARTED[: 2 if when == "starts" else 3]
    assert ("database closed" in process.said) == (when != "starts")
    assert "Exit code 130." in process.output
    if when == "works":
        assert "exit code 130 (" in process.output  # all who look at the report know


def test_readiness_is_off_in_the_handler(backend: str) -> None:
    """Not when the loop comes round to it: the next line sees it."""
    with program(backend, "readiness") as process:
        assert process.wait() == 0
    assert process.said[2:4] == ["ready: True", "ready: False"]


def test_handlers_are_restored(backend: str) -> None:
    """After `run` the process is as it was."""
    with program(backend, "ends") as process:
        assert process.wait() == 0
    assert process.said[-2:] == ["run returned", "restored: True"]


def test_a_signal_that_cannot_be_taken() -> None:
    """That is said, and none is taken: the process would end by none of the others."""
    with program("", "that cannot be taken") as process:
        assert process.wait() == 0
    assert process.said == ["OSError", "restored: True", "ValueError", "restored: True"]


def test_what_was_put_between_two_of_ours_is_put_back() -> None:
    """Each takes what it finds, and it is found again, whoever ends first."""
    with program("", "above another handler") as process:
        assert process.wait() == 0
    assert process.said == ["taken: True", *["restored: True"] * 3]


@pytest.mark.parametrize("mode", ["before the loop runs", "while it is planned"])
def test_a_signal_before_the_loop_runs(backend: str, mode: str) -> None:
    """Is not lost: nothing is started, which is a clean end."""
    with program(backend, mode) as process:
        assert process.wait() == 0
    assert process.said == ["run returned"]


@pytest.mark.parametrize("mode", ["fork", "multiprocessing"])
def test_a_forked_child_has_its_own_signals(backend: str, mode: str) -> None:
    """It dies of SIGTERM, and does not report it to its parent's loop."""
    with program(backend, mode) as process:
        child = int(process.until(r"> child (\d+)")[1])
        os.kill(child, signal.SIGTERM)
        process.until("> works")
        assert "child ended: -15" in process.said
        process.send(signal.SIGQUIT)

        assert process.wait() == 0
    # The reason shows that the child's SIGTERM never came here.
    assert process.said[-4:] == ended("SIGQUIT")


def test_interrupts_of_a_forked_child_are_its_own(backend: str) -> None:
    """Three of them would end its parent."""
    with program(backend, "a child is interrupted") as process:
        process.until("> works")
        process.send(signal.SIGQUIT)

        assert process.wait() == 0
    assert process.said[-4:] == ended("SIGQUIT")


def test_a_forked_child_does_not_hold_it_up(backend: str) -> None:
    """It has copies of all descriptors of its parent."""
    with program(backend, "a child is left") as process:
        child = int(process.until(r"> child (\d+)")[1])
        try:
            process.until("> works")
            process.send(signal.SIGQUIT)

            assert process.wait() == 0
        finally:
            os.kill(child, signal.SIGKILL)
    assert process.said[-4:] == ended("SIGQUIT")


def test_outside_the_main_thread(backend: str) -> None:
    """It works without signals, and says so."""
    with program(backend, "in a thread") as process:
        process.until("works")
        assert "RuntimeWarning: signals reach only the main thread" in process.output
        process.send(signal.SIGTERM)

        assert process.wait() == -signal.SIGTERM
    assert process.said == STARTED
