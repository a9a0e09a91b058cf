"""The code that a process ends with, and which comes first where several apply."""

from __future__ import annotations

import pytest

from tests.e2e.kit import running_program


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("asked for", 0),
        ("asked for with 3", 3),
        ("asked for with 0, then 4", 4),
        ("asked for with 3, and a stop fails", 3),
        ("asked for with 256", 70),  # its ValueError is the service's
        ("a start fails", 69),
        ("a start fails and a stop fails", 69),
        ("an optional start fails", 0),
        ("a start exits", 9),
        ("a crash", 70),
        ("a crash and a stop fails", 70),
        ("ends and a stop fails", 75),
        ("work is cut off", 75),
        ("a service exits", 9),
        ("a child of a service exits", 9),
        ("asked for with 75, and a child of a service exits", 75),
        ("a stop exits", 9),
        ("a stop is interrupted", 130),
        ("main returns 0", 0),
        ("main returns 3", 3),
        ("main returns None", 0),
        ("main returns 256", 70),
        ("main raises", 70),
        ("main exits", 1),
        ("a command exits with 7", 7),
        ("the first command exits later", 8),
        ("a check fails before a command", 7),
        ("a command is killed", 128 + 9),
        ("a command cannot be executed", 126),
        ("a command is not found", 127),
        ("a command takes too long", 69),
        ("a command is tolerated", 0),
        ("a check fails", 69),
        ("a check exits", 4),
        ("a circle", 78),
    ],
)
def test_exit_code(backend: str, end: str, code: int) -> None:
    """Each way to end has its code; `run` returns where that is 0."""
    with running_program(__file__, "exit_codes", backend, end) as process:
        assert process.wait() == code
    assert process.said == (["run returned"] if code == 0 else [])


def test_who_ended_the_loop_is_told(backend: str) -> None:
    """It was not what asyncio cancelled for it: the exit of a child ends its loop."""
    with running_program(__file__, "exit_codes", backend, "a child of a service exits") as process:
        assert process.wait() == 9
    assert ("a task raised SystemExit(9)" in process.output) == (backend != "trio")
    assert "Exit code 9" in process.output


def test_wrong_settings_are_78(backend: str) -> None:
    """The variable, its value and what is expected are named, without a traceback."""
    env = {"LIFECYCLE_GRACE_PERIOD": "30 seconds"}
    with running_program(__file__, "exit_codes", backend, "settings", env=env) as process:
        assert process.wait() == 78
    (line,) = process.lines
    assert line.startswith("lifecycle: LIFECYCLE_GRACE_PERIOD is '30 seconds', but must be ")


def test_a_wrong_declaration_is_said_in_words(backend: str) -> None:
    """One sentence, no traceback."""
    with running_program(__file__, "exit_codes", backend, "a circle") as process:
        assert process.wait() == 78
    assert process.lines == [
        "lifecycle: components require each other in a circle: one -> two -> one"
    ]
