"""A program and everything that it starts, as one thing that can be signalled and ended.

Three rules keep the signals from hitting strangers. The program leads a session, and so a process
group, of its own. Its id is in `alive` from its start until just before it is reaped; the dead
leader, not yet reaped, keeps the id from being given to someone else, so that what is left of the
group can be killed at that moment, and never after. And nobody signals a group that is not in
`alive`.

So the leader must not be reaped behind our back, which is what the child watchers of asyncio and
trio do. This waits by itself: for a pidfd on Linux, elsewhere in a thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from functools import partial
from typing import IO, TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from lifecycle.ending import alive
from lifecycle.processes.identity import identity
from lifecycle.processes.output import Pipe, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger("lifecycle.processes")

TERM_GRACE: Final = 2.0
"""How long a group has after its signal to stop, in seconds, before it is killed."""

# A killed process is gone within milliseconds, unless it hangs in the kernel (a dead NFS server).
_KILL_GRACE = 1.0

# Where a pipe cannot be read without waiting, its last lines get this long, in seconds. Elsewhere
# what is in it when everyone of the group is dead is all there is, and is read at once.
_READ_AFTER_END = 0.5 if sys.platform == "win32" else 0.0


LONGEST_END: Final = TERM_GRACE + _KILL_GRACE + 0.5
"""How long it takes at most until a group has been ended so, in seconds, on a busy machine too."""


class ProcessGroup:
    """A program that was started, with everything that it starts in its turn.

    It has a session of its own (Ctrl-C in a terminal does not reach it), no stdin, and dies with
    this program. Where there are no process groups (Windows), the program alone is meant.
    """

    def __init__(  # noqa: PLR0913  what there is to say of a program
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        user: str | int | None = None,
        tell: Callable[[Stream, str], None] | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start the program.

        Args:
            argv: The program and its arguments.
            env: All of its environment variables; by default those of this process.
            cwd: Its working directory.
            user: The name or the number of the user that it runs as, with that user's groups.
            tell: Is called with each line that it writes, while :meth:`run` runs; by default it
                writes where this process writes.
            stdout: A descriptor that it writes to, in place of `tell`.
            stderr: Likewise.
            pass_fds: Descriptors that it inherits.

        Raises:
            OSError: It could not be started.
            LookupError: There is no such user.
        """
        if tell is not None:
            stdout = stderr = subprocess.PIPE
        self._process = subprocess.Popen(  # noqa: S603  what it runs is for the caller to say
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            bufsize=0,
            env=env,
            cwd=cwd,
            start_new_session=True,
            **identity(user),
        )
        self.pid = self._process.pid
        """The id of the program, and of its group."""
        alive[self.pid] = self
        self.returncode: int | None = None
        """Its exit code, or minus the signal that killed it.

        None before its end, and after it where the code is lost (see :meth:`wait`)."""
        self._lock = anyio.Lock()
        self._pidfd = _open_pidfd(self.pid)
        self._pipes = tuple(
            Pipe(file, partial(tell, stream))
            for stream, file in _outputs(self._process)
            if file is not None and tell is not None
        )

    @property
    def ended(self) -> bool:
        """Whether the program has ended, and what was left of its group was killed."""
        return alive.get(self.pid) is not self

    def send_signal(self, number: int, *, to_all: bool = True) -> None:
        """Send a signal to the whole group; to one that has ended, nothing.

        Args:
            number: The signal.
            to_all: Whether all of the group get it, and not only the program itself.
        """
        if self.ended:
            return
        # A leader that has died, and is not reaped, is an EPERM on macOS.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":  # pragma: no cover
                self._process.send_signal(number)
            elif to_all:
                os.killpg(self.pid, number)
            else:
                # Not `Popen.send_signal`, which would reap it.
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the whole group, without waiting for it to be gone."""
        if sys.platform == "win32":  # pragma: no cover
            self.send_signal(signal.SIGTERM)  # TerminateProcess, which is a kill
        else:
            self.send_signal(signal.SIGKILL)

    async def run(self, grace: float = TERM_GRACE) -> int | None:
        """Tell what the program writes until it ends, and return its :attr:`returncode`.

        When this is cancelled the group is ended as :meth:`terminate` does, and what it writes
        meanwhile is told too; then the cancellation goes on.

        Args:
            grace: How long the group has for that after SIGTERM, in seconds, before it is killed.
        """
        # Not cancelled with the caller, only by the line below: a program that is asked to stop
        # has things to say, and must not block on a pipe that nobody reads.
        reading = anyio.CancelScope(shield=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, reading)
            try:
                await self.wait()
            finally:
                if not self.ended:
                    await self.terminate(grace)
                for pipe in self._pipes:
                    pipe.stop()
                reading.deadline = anyio.current_time() + _READ_AFTER_END
        return self.returncode

    async def wait(self) -> int | None:
        """Wait until the program has ended; then kill what is left of its group.

        Any number of tasks may wait. Nothing that it writes is read here.

        Returns:
            Its :attr:`returncode`; None where that is lost, since something else in this process
            has reaped it: a ``waitpid(-1)``, or an ignored SIGCHLD.
        """
        async with self._lock:
            if not self.ended:
                await self._wait_for_leader()
                self._finish()
        return self.returncode

    async def terminate(self, grace: float = TERM_GRACE, number: int = signal.SIGTERM) -> None:
        """End the group: ask it to stop, and kill what has not done so in time.

        Takes no longer than `grace` and a second, and is not cut short by a cancellation.

        Args:
            grace: How long the program has, in seconds.
            number: The signal that asks it to stop.
        """
        self.send_signal(number)
        with anyio.move_on_after(grace, shield=True):
            await self.wait()
        if self.ended:
            return
        self.kill()
        with anyio.move_on_after(_KILL_GRACE, shield=True):
            await self.wait()
        if not self.ended:
            logger.error(
                "process %d was killed, and still is there %g s later", self.pid, _KILL_GRACE
            )

    async def _wait_for_leader(self) -> None:
        if self._pidfd is not None:
            await anyio.wait_readable(self._pidfd)
        else:
            # A thread of its own, so that those who hang in the default limiter cannot keep us
            # from seeing the end.
            await anyio.to_thread.run_sync(
                partial(_wait_in_thread, self._process),
                abandon_on_cancel=True,
                limiter=anyio.CapacityLimiter(1),
            )

    def _finish(self) -> None:
        """Kill the rest, forget the id, and only then let the system give it to someone else."""
        self.returncode = _exit_status(self._process)
        self.kill()
        del alive[self.pid]
        self._process.wait()
        if self._pidfd is not None:
            os.close(self._pidfd)

    async def _read(self, scope: anyio.CancelScope) -> None:
        with scope:
            async with anyio.create_task_group() as tasks:
                for pipe in self._pipes:
                    tasks.start_soon(pipe.read)
        for pipe in self._pipes:
            pipe.close()


def _outputs(process: subprocess.Popen[bytes]) -> tuple[tuple[Stream, IO[bytes] | None], ...]:
    return ("stdout", process.stdout), ("stderr", process.stderr)


def _open_pidfd(pid: int) -> int | None:
    # Linux only, since 5.3; and some sandboxes forbid it. An ESRCH is a child that somebody else
    # has reaped already.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return None


def _wait_in_thread(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:  # pragma: no cover
        # Nothing there ends and leaves the dead. The id is free from here until `_finish`: a
        # moment, in which it is not given away again unless all others have been first.
        process.wait()


def _exit_status(process: subprocess.Popen[bytes]) -> int | None:
    """Look at the exit status of a program that has ended, without reaping it."""
    if sys.platform != "linux":  # pragma: no cover
        return process.wait()
    # Not `Popen.wait`, which takes a lost status for a success.
    try:
        info = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return None
    if info is None:  # only with WNOHANG
        return None
    return info.si_status if info.si_code == os.CLD_EXITED else -info.si_status
