"""Nine things that happen to services in production; each test is one program and its whole end."""

from __future__ import annotations

import contextlib
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kit import Fifo, Process, running_program

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

# For programs that are to end within 5 s or less, and are stuck in what takes 50 or more.
SOON = 30.0

NOT_STARTED = "lifecycle: The system did not start, and what had started was stopped again."
NOT_FINISHED = "lifecycle: The system was shut down, but not everything could be finished."


def program(name: str, *args: str) -> AbstractContextManager[Process]:
    """Run a program by its name."""
    return running_program(__file__, name, *args)


def account(process: Process) -> list[str]:
    """What a person is told at the end, line by line, up to the first line that is empty."""
    lines = process.lines
    first = next(i for i, line in enumerate(lines) if line.startswith("lifecycle: The s"))
    return lines[first : lines.index("", first)]


def test_sigterm(backend: str) -> None:
    """Work in flight is finished, all is closed in reverse, and the process exits with 0."""
    with program("normal", backend) as process:
        process.until("order 1 accepted")
        process.send(signal.SIGTERM)

        assert process.wait() == 0
    started, ended = process.said[:4], process.said[4:]
    assert started[0] == "database opened"
    assert {*started[1:3]} == {"cache opened", "mailer opened"}
    assert started[3] == "order 1 accepted"
    assert [line for line in ended if line != "cache closed"] == [
        "order 1 done",
        "mailer drained",
        "orders stopped",
        "mailer closed",
        "database closed",
        "run returned",
    ]
    # It stops beside the mailer: after what uses it, before what it uses.
    closed = ended.index("cache closed")
    assert ended.index("orders stopped") < closed < ended.index("database closed")


def test_a_component_fails_to_start(backend: str) -> None:
    """What had started is stopped in reverse, the code is 69, and a person reads why."""
    with program("start_fails", backend) as process:
        assert process.wait() == 69

    assert process.said == ["database opened", "cache opened", "cache closed", "database closed"]
    assert account(process) == [
        f"{NOT_STARTED} Exit code 69.",
        "  'broker' did not start: ConnectionError: broker:9092 refused the connection",
    ]
    assert process.output.count("Traceback (most recent call last)") == 1
    assert "Exception Group" not in process.output
    assert process.lines[-1] == "ConnectionError: broker:9092 refused the connection"


def test_sigterm_in_the_middle_of_a_slow_start(backend: str) -> None:
    """The start is rolled back at once, which is a clean end."""
    with program("slow_start", backend) as process:
        process.until("index is being built")
        process.send(signal.SIGTERM)

        assert process.wait() == 0
    assert process.said == [
        "database opened",
        "index is being built",
        "index removed",
        "database closed",
        "run returned",
    ]


def test_a_stop_hook_raises(backend: str) -> None:
    """All the others are stopped, the code is 75, and it is named."""
    with program("bad_stop", backend, "raises") as process:
        process.until("ready")
        process.send(signal.SIGTERM)

        assert process.wait() == 75
    assert process.said[:2] == ["ready", "web closed"]
    assert {*process.said[2:4]} == {"cache closes", "metrics closed"}
    assert process.said[4:] == ["database closed"]
    assert account(process) == [
        f"{NOT_FINISHED} Exit code 75.",
        "  the stop hook of 'cache' failed: ValueError: the cache is on fire",
    ]


def test_a_stop_hook_hangs(backend: str) -> None:
    """It is cut off at its own timeout, the others are stopped, the code is 75, and it is named."""
    with program("bad_stop", backend, "hangs") as process:
        process.until("ready")
        process.send(signal.SIGTERM)

        assert process.wait() == 75
    assert process.said[:2] == ["ready", "web closed"]
    assert {*process.said[2:4]} == {"cache closes", "metrics closed"}
    assert process.said[4:] == ["database closed"]
    outcome, error = account(process)
    assert outcome == f"{NOT_FINISHED} Exit code 75."
    assert re.fullmatch(
        r"  the stop hook of 'cache' had not ended after \S+ s and was cancelled", error
    )


@pytest.mark.parametrize(
    ("mode", "hook", "line"),
    [
        ("swallow", "the stop hook of 'cache'", "await anyio.sleep(100)"),
        ("thread", "the stop hook of 'files'", "block()"),
        ("worker", "the stop hook of 'cache'", "await anyio.to_thread.run_sync(block)"),
        ("drain", "the drain hook of 'orders'", "await anyio.sleep(100)"),
    ],
)
def test_a_hook_does_not_end(backend: str, mode: str, hook: str, line: str) -> None:
    """It is left behind, the rest is stopped, and the process ends; it is named, with its stack."""
    with program("stuck", backend, mode) as process:
        process.until("ready")
        process.send(signal.SIGTERM)
        process.until("stuck")

        assert process.wait(SOON) == 75
    assert process.said == ["ready", "stuck", "database closed"]
    what = r"had not ended after \S+ s and was cancelled; it ignored that and was abandoned"
    assert re.search(f"{hook} {what}", "\n".join(account(process)))
    left_behind = process.output.rpartition(f"{hook[0].upper()}{hook[1:]} was left behind at:")[2]
    assert "stuck.py" in left_behind
    assert line in left_behind


def test_a_hook_ends_after_it_was_abandoned(backend: str) -> None:
    """Nothing is stuck in the end: the process ends its own way, and cleans up."""
    with program("abandoned", backend) as process:
        process.until("ready")
        process.send(signal.SIGTERM)

        assert process.wait() == 75
    assert process.said == ["ready", "cache closed", "database closed", "cleaned up"]
    assert re.search("it ignored that and was abandoned", "\n".join(account(process)))


@pytest.mark.rule("D8")
@pytest.mark.parametrize(
    "mode",
    [
        "block the loop",
        "block the loop at the start",
        "block the loop outside of Python, at the start",
        "block the loop as no descriptor is left",  # of many a process that hangs
    ],
)
def test_a_hook_blocks_the_event_loop(backend: str, mode: str) -> None:
    """The process ends within the grace period; where it was stuck is shown.

    Outside of Python no signal handler is called; nor is one where the signal comes in the instant
    before a sleep.
    """
    with program("stuck", backend, mode) as process:
        process.until("stuck" if mode.endswith("start") else "ready")
        process.send(signal.SIGTERM)
        process.until("stuck")

        assert process.wait(SOON) == 75
    explained = process.output.partition("the grace period of 5 s is over")[2]
    hook = "start" if mode.endswith("start") else "stop"
    assert f"the {hook} hook of 'cache', at:" in explained
    assert "stuck.py" in explained.partition("All threads:")[2]
    assert "in block" in explained.partition("All threads:")[2]
    assert "run returned" not in process.said


def test_a_thread_asks_while_the_event_loop_is_blocked(backend: str) -> None:
    """The grace period begins with that, and the process ends within it, with the code asked for.

    The loop never learns of it: the service blocks it from its first step on.
    """
    with program("stuck", backend, "block the loop, and a thread asks") as process:
        process.until("stuck")

        assert process.wait(SOON) == 3
    explained = process.output.partition("the grace period of 5 s is over")[2]
    assert "in block" in explained.partition("All threads:")[2]
    assert process.said == ["stuck"]


@pytest.mark.parametrize("mode", ["thread", "executor"])
def test_a_thread_outlives_the_run(backend: str, mode: str) -> None:
    """The interpreter would wait for it: the process ends within the grace period all the same."""
    with program("threads", backend, mode) as process:
        process.until("ready")
        process.send(signal.SIGTERM)

        assert process.wait(SOON) == 75
    assert process.said == ["ready", "run returned"]
    assert "The system has ended, and the process has not: a thread is stuck" in process.output
    explained = process.output.partition("the grace period of 5 s is over")[2]
    assert "in block" in explained.partition("All threads:")[2]


def test_who_goes_on_after_the_run_is_left_alone(backend: str) -> None:
    """As long as the main thread has something to do, nothing is stuck."""
    with program("threads", backend, "goes on") as process:
        process.until("ready")
        process.send(signal.SIGTERM)

        assert process.wait() == 0
    assert process.said == ["ready", "run returned", "still here"]


def tick(process: Process) -> None:
    """Wait so long that the next interrupt is not taken for the same."""
    ticks = process.said.count("tick")
    process.until("> tick", times=ticks + 3)


def test_one_interrupt_is_fast(backend: str) -> None:
    """There is no drain delay (it would be 50 s), and everything else is done."""
    with program("interrupts", backend, "ends") as process:
        process.until("ready")
        process.send_group(signal.SIGINT)

        assert process.wait(SOON) == 0
    assert process.said == [
        "ready",
        "order 1 done",
        "cache closes",
        "database closed",
        "run returned",
    ]


def test_the_second_interrupt_is_immediate(backend: str) -> None:
    """Drains are given up, stops are not; the code is 130."""
    with program("interrupts", backend, "drains") as process:
        process.until("ready")
        process.send(signal.SIGINT)
        tick(process)
        process.send(signal.SIGINT)

        assert process.wait() == 130
    ended = [line for line in process.said if line != "tick"]
    assert ended == ["ready", "cache closes", "database closed"]
    assert account(process)[0] == (
        "lifecycle: The shutdown was cut short by a second interrupt. Exit code 130."
    )


@pytest.mark.parametrize("what", ["stop", "loop"])
def test_the_second_interrupt_ends_what_is_blocked(backend: str, what: str) -> None:
    """The event loop carries out nothing, and the process ends soon (its grace period is 100 s).

    The code is that of a forced end, and where it was stuck is shown.
    """
    with program("interrupts", backend, f"blocks the {what}") as process:
        process.until("ready")
        process.send(signal.SIGINT)
        tick(process)
        process.send(signal.SIGINT)

        assert process.wait(SOON) == 130
    explained = process.output.partition("a second interrupt has cut the shutdown short")[2]
    assert "the event loop is blocked, or a thread is stuck" in explained
    assert "in block" in explained.partition("All threads:")[2]
    assert ("the stop hook of 'cache', at:" in explained) == (what == "stop")
    assert "database closed" not in process.said


@pytest.mark.parametrize("how", ["blocks the stop", "blocks the stop outside of Python"])
def test_the_third_interrupt_ends_the_process(backend: str, how: str) -> None:
    """Even with a blocked event loop (the grace period is 100 s), at once, with 130.

    There is no watchdog here that would do it after the second.
    """
    with program("interrupts", backend, f"{how}, unwatched") as process:
        process.until("ready")
        process.send(signal.SIGINT)
        tick(process)
        process.send(signal.SIGINT)
        tick(process)
        assert process.is_running
        process.send(signal.SIGINT)

        assert process.wait() == 130
    assert "database closed" not in process.said


def test_two_interrupts_at_once_are_one(backend: str) -> None:
    """Terminals and process groups deliver duplicates: nothing is cut short."""
    with program("interrupts", backend, "twice at once") as process:
        process.until("ready")
        process.send(signal.SIGTERM)
        process.send(signal.SIGINT)  # ends the delay

        code = process.wait()
    # The two that the program raises are the second interrupt, and its duplicate: not the third.
    assert code == 130
    assert process.said == ["ready", "cache closes", "database closed"]


def test_forced_comes_before_every_other_code(backend: str) -> None:
    """Whoever sent the second interrupt knows what he did."""
    with program("interrupts", backend, "exit code") as process:
        process.until("ready")
        process.send(signal.SIGINT)
        process.until("tick")
        process.send(signal.SIGINT)

        assert process.wait() == 130


@pytest.mark.parametrize("mode", ["service", "group"])
def test_a_background_task_crashes(backend: str, mode: str) -> None:
    """The rest shuts down in order, a request in flight is answered, and the code is 70."""
    with program("crashes", backend, mode) as process:
        assert process.wait() == 70

    assert process.said == ["request 1 answered", "web closed", "database closed"]
    assert account(process) == [
        "lifecycle: The system was shut down because a component crashed. Exit code 70.",
        "  'consumer' crashed: RuntimeError: the broker is gone",
    ]
    assert process.lines[-1] == "RuntimeError: the broker is gone"
    assert "Exception Group" not in process.output


def test_a_preflight_command_fails(backend: str, tmp_path: Path) -> None:
    """Nothing is started, its code is the program's, its stderr is shown, nothing is left of it."""
    with (
        contextlib.closing(Fifo(tmp_path)) as fifo,
        program("preflight_fails", backend, str(fifo.path)) as process,
    ):
        assert process.wait() == 7
        # What the script has left behind would hold it open for as long as it lived.
        assert fifo.read_to_the_end() == "the script was here\n"
    assert process.said == []
    assert account(process) == [
        "lifecycle: The system did not start. Exit code 7.",
        (
            "  preflight check 'migrations' failed: it exited with code 7. The last lines of its "
            "stderr:"
        ),
        "      | database migrations are missing",
    ]
