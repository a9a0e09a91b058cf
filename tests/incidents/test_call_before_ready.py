"""An init script called the Jobs API before the plugin had started.

A nil tracer, SIGSEGV, a crash loop; `sleep(5)` "fixed" it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.kit import Process, running_program

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def program(*args: str) -> AbstractContextManager[Process]:
    """Run the program of these tests."""
    return running_program(__file__, "call_before_ready", *args)


def test_a_call_too_early_is_refused(backend: str) -> None:
    """With an error that says who is not ready, what it does, and what to do: no crash, no loop."""
    with program(backend, "call") as process:
        assert process.wait() == 69

    assert "runs" not in process.said
    account = process.output.partition("lifecycle: The system did not start")[2]
    assert re.search(
        r"'init' did not start: NotReadyError: 'jobs' is not ready: \w+ for \S+ s.*\. "
        r"Require it, or await `system\.ready\(…\)` first",
        account,
    )


def test_a_call_can_wait(backend: str) -> None:
    """Until the plugin is ready, however long that takes; no `sleep(5)`."""
    with program(backend, "wait") as process:
        assert process.wait() == 0

    said = process.said
    assert said.index("not traced: jobs started") < said.index("init has jobs")
    assert said[-3:] == ["runs", "jobs stopped", "run returned"]


def test_a_wait_that_can_never_end_is_an_error_at_once(backend: str) -> None:
    """Not a timeout later (it would be 1000 s); the error has the circle."""
    with program(backend, "deadlock") as process:
        assert process.wait() == 69

    assert process.said == []
    account = process.output.partition("lifecycle: The system did not start")[2]
    assert "'init' did not start: DeadlockError: this wait could never end:" in account
    assert "'init' -> waits for 'jobs' -> waits for 'init'" in account


def test_a_default_stands_in(backend: str) -> None:
    """Who can do without is given a default: for one call, or, of what is wanted, for good."""
    with program(backend, "default") as process:
        assert process.wait() == 0

    assert "jobs or a default: a default" in process.said
    assert "not traced: jobs started" in process.said
    assert process.said[-3:] == ["runs", "jobs stopped", "run returned"]
