"""Several systems at once in a process, and signals."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from lifecycle import signals
from tests.e2e.kit import Process, running_program

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def program(*args: str) -> AbstractContextManager[Process]:
    """Run the program of these tests."""
    return running_program(__file__, "several", *args)


def test_a_signal_reaches_all_that_asked(backend: str) -> None:
    """In one loop; those that did not ask are left alone."""
    with program(backend, "one loop") as process:
        process.until("> ready")
        process.send(signal.SIGTERM)

        assert process.wait() == 0
    assert ["silent opened", "one opened", "two opened", "ready"] == process.said[:4]
    assert {*process.said[4:-2]} == {
        "one closed",
        "two closed",
        "one clean received SIGTERM",
        "two clean received SIGTERM",
    }
    assert ["silent running", "silent closed"] == process.said[-2:]


@pytest.mark.parametrize("mode", ["one ends", "one ends, and another thread takes the signal"])
def test_who_ends_takes_the_signals_from_nobody(backend: str, mode: str) -> None:
    """Whoever has asked for them is told until its own end, and the last puts back what was."""
    with program(backend, mode) as process:
        process.until("> ready")
        if mode == "one ends":
            process.send(signal.SIGTERM)

        assert process.wait() == 0
    assert process.said == [
        "one opened",
        "two opened",
        "one closed",
        "ready",
        "two closed",
        "two clean received SIGTERM",
        "restored: True",
    ]


def test_a_signal_reaches_a_system_in_a_thread(backend: str) -> None:
    """Beside the program in the main thread, which has a loop of its own."""
    with program(backend, "two loops") as process:
        process.until("> program opened")
        process.until("running$")
        process.send(signal.SIGTERM)

        assert process.wait() == 0
    assert ["thread opened", "program opened"] == process.said[:2]
    assert {*process.said[2:]} == {
        "program closed",
        "program has ended",
        "thread closed",
        "thread clean received SIGTERM",
    }


def test_handlers_are_installed_once() -> None:
    """A second entry would forget what was there before, and SIGTERM would end nothing any more."""
    before = signal.getsignal(signal.SIGTERM)
    handling = signals.handling()
    with handling, pytest.raises(RuntimeError, match="installed already"):
        handling.__enter__()
    assert before is signal.getsignal(signal.SIGTERM)
