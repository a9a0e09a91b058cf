"""What is said of programs: how they ended, why they could not start, what they wrote last."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.processes.output import Stream

_LINES: Final = 20
_LENGTH: Final = 500


class LastLines:
    """The last lines that a program has written; from any thread."""

    def __init__(self) -> None:
        """There are none."""
        self._lines: dict[Stream, deque[str]] = {
            "stdout": deque(maxlen=_LINES),
            "stderr": deque(maxlen=_LINES),
        }

    def add(self, stream: Stream, *lines: str) -> None:
        """Keep lines."""
        self._lines[stream].extend(lines[-_LINES:])

    def quote(self) -> str:
        """Say what they are, behind a sentence; nothing where there are none."""
        # Many a program complains on stdout.
        stream: Stream = "stderr" if self._lines["stderr"] else "stdout"
        lines = [line[:_LENGTH] for line in self._lines[stream].copy()]
        return "\n  | ".join([f". The last lines of its {stream}:", *lines]) if lines else ""


def name_of(number: int) -> str:
    """The name of a signal."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return str(number)


def how_it_ended(returncode: int | None) -> str:
    """Say how a program ended: ``exited with code 3``."""
    if returncode is None:
        done = "ended, and its exit code is lost: SIGCHLD is ignored in this process, or something "
        return f"{done}else in it waits for all children"
    if returncode < 0:
        return f"was killed by signal {name_of(-returncode)}"
    return f"exited with code {returncode}"


def why_not_executed(
    error: OSError, program: str, env: Mapping[str, str], cwd: Path | None
) -> tuple[str, bool]:
    """Say why a program could not be executed, and whether it is there at all."""
    if not isinstance(error, FileNotFoundError):
        return f"{program} cannot be executed: {error.strerror or error}", True
    if _is_there(program, env, cwd):
        reason = f"{program} cannot be executed: the interpreter in its first line is not there"
        return reason, True
    return f"{program} was not found", False


def _is_there(program: str, env: Mapping[str, str], cwd: Path | None) -> bool:
    if os.path.dirname(program):  # noqa: PTH120  pathlib drops the ./ that matters here
        return (cwd or Path()).joinpath(program).exists()
    return shutil.which(program, path=env.get("PATH")) is not None
