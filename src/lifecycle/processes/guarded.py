"""A program with a guard, which kills its whole group when this process ends, however it ends.

`kill_all` needs somebody to call it, and nobody does when this process is killed with SIGKILL. What
the kernel offers for that (``PR_SET_PDEATHSIG``) is bound to the *thread* that has started the
program, is forgotten when the program changes its user, and does not reach what the program starts.
So there is a guard: a process of 3 MB in the group, that waits for a pipe to end whose other end
nobody but this process holds.

Where no interpreter can be started (a frozen program), and on Windows, there is none.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import marshal
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from lifecycle.processes import launcher
from lifecycle.processes.group import ProcessGroup
from lifecycle.processes.identity import identity

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

logger = logging.getLogger("lifecycle.processes")

_ENOUGH: Final = 4096

# The writing ends of the pipes. A fork of this process must not keep them open.
_lifelines: set[int] = set()
_lock = threading.Lock()


class LaunchError(OSError):
    """A program could not be started; :attr:`step` says what could not be done."""

    step: str = "exec"
    """``guard``, ``user``, ``cwd`` or ``exec``."""

    @classmethod
    def at(cls, step: str, number: int) -> LaunchError:
        """Make one."""
        error = cls(number, os.strerror(number))
        error.step = step
        return error


def _let_go_in_child() -> None:
    _lock.release()
    for fd in _lifelines:
        with contextlib.suppress(OSError):
            os.close(fd)
    _lifelines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_let_go_in_child
    )


class GuardedGroup(ProcessGroup):
    """A program, and everything that it starts, which do not outlive this process."""

    def __init__(  # noqa: PLR0913  what there is to say of a program
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        user: str | int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        """Begin to start the program: :meth:`launched` says when it runs.

        Args:
            argv: The program and its arguments.
            env: All of its environment variables; by default those of this process.
            cwd: Its working directory.
            user: The name or the number of the user that it runs as, with that user's groups.
            stdout: A descriptor that it writes to; by default this process's.
            stderr: Likewise.

        Raises:
            OSError: It could not be started, where there is no guard to tell that later.
            LookupError: There is no such user.
        """
        self._guard: int | None = None
        self._lifeline: int | None = None
        self._report: int | None = None
        self._order = b""
        interpreter = _interpreter()
        self._has_launched = interpreter is None
        if interpreter is None:
            logger.warning("%s is not guarded: should this process be killed, it stays", argv[0])
            super().__init__(argv, env=env, cwd=cwd, user=user, stdout=stdout, stderr=stderr)
            return
        self._order = _order(argv, env, cwd, user)
        reader, self._lifeline = _open_lifeline()
        self._report, writer = os.pipe()
        try:
            with _holding_interrupts_back():
                super().__init__(
                    [interpreter, "-I", "-S", launcher.__file__, str(reader), str(writer)],
                    stdout=stdout,
                    stderr=stderr,
                    pass_fds=(reader, writer),
                )
        except BaseException:
            self._cut()
            raise
        finally:
            os.close(reader)
            os.close(writer)
        # What does not fit into the pipe has to wait until it is read there.
        os.set_blocking(self._lifeline, False)
        self._order = _write(self._lifeline, self._order)

    async def launched(self) -> None:
        """Wait until the program runs; cancelled, the group has to be ended by the caller.

        It may not start before this is awaited: with many arguments, or a large environment.

        Raises:
            LaunchError: It could not be started.
        """
        if self._has_launched:
            return
        report, self._report = self._report, None
        if report is None:
            raise LaunchError.at("guard", errno.ECHILD)
        try:
            await self._give_order()
            told = await _read_to_the_end(report)
        finally:
            os.close(report)
        steps = dict(line.split(b" ") for line in told.splitlines())
        guard = steps.pop(b"guard", None)
        if guard is None:
            raise LaunchError.at("guard", errno.ECHILD)
        self._guard = int(guard)
        for step, number in steps.items():
            raise LaunchError.at(step.decode(), int(number))
        self._has_launched = True

    async def _give_order(self) -> None:
        """Write what is left of the order."""
        # Nobody may close it while it is waited for: nothing would ever wake who waits.
        lifeline, self._lifeline = self._lifeline, None
        assert lifeline is not None  # noqa: S101  it is cut together with the report
        try:
            while self._order:
                await anyio.wait_writable(lifeline)
                self._order = _write(lifeline, self._order)
        finally:
            self._lifeline = lifeline
            if self.ended:
                self._cut()

    def _finish(self) -> None:
        super()._finish()
        self._cut()
        if self._guard is not None:
            # Where this process is the first of a container, the guard has become its child.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._guard, 0)

    def _cut(self) -> None:
        if self._report is not None:
            os.close(self._report)
            self._report = None
        if self._lifeline is not None:
            with _lock:
                _lifelines.discard(self._lifeline)
                os.close(self._lifeline)
            self._lifeline = None


def _interpreter() -> str | None:
    if sys.platform == "win32" or getattr(sys, "frozen", False):
        return None
    if not sys.executable or not Path(launcher.__file__).is_file():
        return None
    return sys.executable


@contextlib.contextmanager
def _holding_interrupts_back() -> Generator[None]:
    """Let what is started meanwhile not be interrupted before the launcher lets it.

    An interpreter that is only just starting makes a KeyboardInterrupt of it, of which it ends with
    1 and a traceback, or which it loses.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _open_lifeline() -> tuple[int, int]:
    with _lock:
        reader, writer = os.pipe()
        _lifelines.add(writer)
    return reader, writer


def _order(
    argv: Sequence[str | os.PathLike[str]],
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    user: str | int | None,
) -> bytes:
    who = identity(user)
    variables = os.environ if env is None else env
    order = marshal.dumps(
        {
            "argv": [os.fsencode(word) for word in argv],
            "env": {os.fsencode(name): os.fsencode(value) for name, value in variables.items()},
            "cwd": None if cwd is None else os.fsencode(cwd),
            "user": (
                (
                    who["user"],
                    who.get("group"),
                    list(who["extra_groups"]) if "extra_groups" in who else None,
                )
                if "user" in who
                else None
            ),
        }
    )
    return len(order).to_bytes(launcher.LENGTH, "big") + order


async def _read_to_the_end(fd: int) -> bytes:
    told = b""
    while True:
        await anyio.wait_readable(fd)
        data = os.read(fd, _ENOUGH)
        if not data:
            return told
        told += data


def _write(fd: int, data: bytes) -> bytes:
    """Write what can be written now, and return the rest."""
    try:
        return data[os.write(fd, data) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return b""  # it has ended already, as what it reports will show
