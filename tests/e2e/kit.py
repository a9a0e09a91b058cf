"""Real processes, driven from outside: started, read, signalled, waited for, and always ended.

::

    with running_source(tmp_path, SOURCE, backend) as process:
        process.until(r"ready")
        process.send(signal.SIGTERM)
        assert process.wait() == 0
        assert process.lines == [...]
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GENEROUS = 60.0
"""How long anything is waited for, in seconds: what takes longer on a slow machine is broken."""

SERVERS = ["uvicorn asyncio", "uvicorn uvloop", "hypercorn trio", "granian asyncio"]
"""What web servers are run by, and on; on which else they run is tried in tests/edges/servers."""


class Process:
    """A process that leads a session of its own, and what it has written so far.

    stdout and stderr are one stream, as in a terminal: the order of the lines is that in which they
    were written.
    """

    def __init__(self, *command: str | Path, env: Mapping[str, str], cwd: Path | None) -> None:
        # What is inherited goes with it: coverage measures subprocesses by variables.
        self.began = time.monotonic()
        self._popen = subprocess.Popen(
            [*map(str, command)],
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._at: list[float] = []
        self._changed = threading.Condition()
        self._closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id, which is that of its group and session, too."""
        return self._popen.pid

    @property
    def lines(self) -> list[str]:
        """The lines that it has written so far."""
        with self._changed:
            return list(self._lines)

    @property
    def output(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines)

    @property
    def said(self) -> list[str]:
        """What the program itself has said: the lines that begin with ``> ``, without that."""
        return [line[2:] for line in self.lines if line.startswith("> ")]

    def until(self, pattern: str, *, times: int = 1, timeout: float = GENEROUS) -> re.Match[str]:
        """Wait until it has written a line in which a pattern is found; all lines count.

        Args:
            pattern: a regular expression.
            times: how many lines have to match; the match in the last of them is returned.
            timeout: how long to wait, in seconds.

        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [match for line in self._lines if (match := re.search(pattern, line))]
                if len(found) >= times:
                    return found[times - 1]
                left = deadline - time.monotonic()
                if self._closed or left <= 0:
                    what = "ended without" if self._closed else f"took {timeout:g} s without"
                    raise AssertionError(self._explain(f"{what} {pattern!r} x{times}"))
                self._changed.wait(left)

    def written_at(self, pattern: str) -> float:
        """When the first such line was read, on the clock of `time.monotonic`."""
        with self._changed:
            for line, at in zip(self._lines, self._at, strict=True):
                if re.search(pattern, line):
                    return at
            raise AssertionError(self._explain(f"nowhere {pattern!r}"))

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._popen.send_signal(number)

    def send_group(self, number: int) -> None:
        """Send a signal to its process group, as a terminal does."""
        os.killpg(self.pid, number)

    def wait(self, timeout: float = GENEROUS) -> int:
        """Wait for its end; give the exit code, or minus the signal that killed it."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._explain(f"took {timeout:g} s without ending")) from None
        # An orphan may hold the pipe open: what the process itself has written is there by then.
        self._reader.join(timeout=10)
        return code

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def kill(self) -> None:
        """End it and its process group, whatever they do."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(GENEROUS)
        self._reader.join(timeout=10)
        if self._popen.stdout is not None and not self._reader.is_alive():
            self._popen.stdout.close()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._at.append(time.monotonic())
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _explain(self, what: str) -> str:
        written = textwrap.indent("\n".join(self._lines) or "(nothing)", "    ")
        return f"process {self.pid} {what}; it wrote:\n{written}"


class Fifo:
    """Proof of life: whoever was started with it open holds it open until he has ended."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fifo"
        os.mkfifo(self.path)
        self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def read_to_the_end(self) -> str:
        """Wait until nobody holds it open any more; give what they have written.

        To be called when somebody has opened it: before that, too, nobody holds it open.
        """
        deadline = time.monotonic() + GENEROUS
        written = b""
        while select.select([self._reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = os.read(self._reader, 4096)
            written += data
            if not data:
                return written.decode()
        message = f"after {GENEROUS:g} s somebody still holds the FIFO open; it has {written!r}"
        raise AssertionError(message)

    def close(self) -> None:
        """Close it."""
        os.close(self._reader)


@contextlib.contextmanager
def running(
    *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Process]:
    """Run a command; at the end of the `with` nothing of its process group is left."""
    process = Process(*command, env=env or {}, cwd=cwd)
    try:
        yield process
    finally:
        process.kill()


@contextlib.contextmanager
def running_source(
    folder: Path, source: str, *args: str, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Write a Python program into a folder, and run it there.

    A file, since tracebacks of ``python -c`` have no source lines.
    """
    program = folder / "program.py"
    program.write_text(textwrap.dedent(source), encoding="utf-8")
    with running(sys.executable, program, *args, env=env, cwd=folder) as process:
        yield process


def running_program(
    test: str, name: str, *args: str, env: Mapping[str, str] | None = None
) -> contextlib.AbstractContextManager[Process]:
    """Run ``programs/<name>.py`` beside a test module, whose ``__file__`` is given.

    Such a program can import from ``tests``.
    """
    program = Path(test).parent / "programs" / f"{name}.py"
    root = Path(__file__).parents[2]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return running(sys.executable, program, *args, env={"PYTHONPATH": path, **(env or {})})
