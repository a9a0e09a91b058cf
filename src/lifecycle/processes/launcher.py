"""Becomes a program, and leaves a guard in its process group: run as a script, by itself.

::

    python -I -S launcher.py LIFELINE REPORT

LIFELINE is the read end of a pipe whose one writer is the process that has started this one. What
is to be done comes through it first. Then nobody writes any more: it ends when that process does,
however it is ended, and at that moment the guard kills the group, itself included. As a member it
cannot hit another group that was given the same number later.

REPORT takes the process id of the guard, and then what has failed; it is closed when the program
runs. Nothing of ours is imported, so that this takes a few milliseconds.
"""

from __future__ import annotations

import errno
import marshal
import os
import signal
import sys
from typing import Any

LENGTH = 4
"""How many bytes say how long the order is."""
FAILED = 127


def main() -> None:
    """Do what the order says."""
    # It is held back until here: an interrupt ends this as it ends most programs, and no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    lifeline, report = int(sys.argv[1]), int(sys.argv[2])
    for fd in (lifeline, report):
        os.set_inheritable(fd, False)  # noqa: FBT003  it takes no keyword
    order = _order(lifeline)
    if order is None:
        return  # whoever wanted it is gone already
    step = "guard"
    try:
        os.write(report, b"guard %d\n" % _leave_guard(lifeline, report))
        step = "user"
        _become(order["user"])
        step = "cwd"
        if order["cwd"] is not None:
            os.chdir(order["cwd"])
        step = "exec"
        _restore_signals()
        _execute(order["argv"], order["env"])
    except OSError as error:
        os.write(report, b"%s %d\n" % (step.encode(), error.errno or 0))
    except BaseException:
        os.write(report, b"%s %d\n" % (step.encode(), errno.EIO))
        raise
    os._exit(FAILED)


def _order(lifeline: int) -> Any:
    length = int.from_bytes(_read(lifeline, LENGTH), "big")
    order = _read(lifeline, length)
    return marshal.loads(order) if length and len(order) == length else None  # noqa: S302  from who started us


def _read(fd: int, length: int) -> bytes:
    found = b""
    while len(found) < length and (data := os.read(fd, length - len(found))):
        found += data
    return found


def _leave_guard(lifeline: int, report: int) -> int:
    """Start the guard as nobody's child: a program may wait for all that it has."""
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        if os.fork() == 0:
            _guard(lifeline, writer, (reader, writer, report))
        os._exit(0)
    os.close(writer)
    os.waitpid(between, 0)
    guard = int(os.read(reader, 32) or b"0")
    os.close(reader)
    if guard == 0:
        raise BlockingIOError(11, "no process can be started")
    return guard


def _guard(lifeline: int, ready: int, others: tuple[int, ...]) -> None:
    # What is meant for the group is not meant for it; a program may send itself all kinds of
    # signals by `kill 0`.
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):  # one of the C library's own
                continue
    # Only now: the program, which is waiting for this, may send such signals with its first breath.
    os.write(ready, b"%d" % os.getpid())
    # It keeps open nothing that anybody could wait for the end of.
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
    for fd in (nothing, *others):
        os.close(fd)
    os.chdir("/")
    while os.read(lifeline, 4096):
        pass
    os.kill(0, signal.SIGKILL)


def _become(user: tuple[int, int | None, list[int] | None] | None) -> None:
    if user is None:
        return
    uid, gid, groups = user
    if groups is not None:
        os.setgroups(groups)
    if gid is not None:
        os.setgid(gid)
    os.setuid(uid)


def _execute(argv: list[bytes], env: dict[bytes, bytes]) -> None:
    """Become the program.

    As ``os.execvpe``, which imports: the new user may not be allowed to read the interpreter's
    modules.
    """
    folders = env.get(b"PATH", os.defpath.encode()).split(b":")
    paths = [argv[0]] if b"/" in argv[0] else [(one or b".") + b"/" + argv[0] for one in folders]
    refused: OSError | None = None
    missing: OSError | None = None
    for path in paths:
        try:
            os.execve(path, argv, env)  # noqa: S606  that is what it is for
        except OSError as error:  # noqa: PERF203  it is tried where it is not found, too
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                missing = error
            else:
                refused = refused or error
    raise refused or missing or FileNotFoundError(errno.ENOENT, "no path")


def _restore_signals() -> None:
    # An interpreter ignores these, and what is ignored stays so in the program.
    for name in ("SIGPIPE", "SIGXFSZ"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    main()
