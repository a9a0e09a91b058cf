"""Telling cancellations, and what asks for the end, from errors."""

from __future__ import annotations

import anyio

from lifecycle.errors import WorkCancelledError, leaf


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception is a cancellation, or a group of nothing else."""
    parts = getattr(error, "exceptions", None)  # of a group; no built-in name on Python 3.10
    if parts:
        return all(is_cancellation(one) for one in parts)
    return isinstance(error, anyio.get_cancelled_exc_class())


def exit_in(error: BaseException | None) -> SystemExit | KeyboardInterrupt | None:
    """The SystemExit or KeyboardInterrupt that an exception is.

    Raised in the block of a task group it arrives in a group of one, and means the same.
    """
    only = None if error is None else leaf(error)
    return only if isinstance(only, (SystemExit, KeyboardInterrupt)) else None


def code_of(error: SystemExit) -> int:
    """The exit code that Python would give a SystemExit, and 1 where a process cannot have it."""
    if error.code is None:
        return 0
    return int(error.code) if isinstance(error.code, int) and 0 <= error.code <= _LAST_CODE else 1


def cause_in(error: BaseException | None) -> BaseException | None:
    """What was going on when a cancellation, or what asks for the end, came on top of it."""
    while error is not None and (is_cancellation(error) or exit_in(error) is not None):
        error = error.__context__
    return None if error is None else culprit(error)


def culprit(error: BaseException) -> BaseException:
    """What is behind an exception, and not the group that it comes in, where it is one alone.

    Work that was cut off with it is told of by itself.
    """
    others = [
        part
        for part in getattr(error, "exceptions", ())
        if not isinstance(part, WorkCancelledError)
    ]
    return culprit(others[0]) if len(others) == 1 else error


_LAST_CODE = 255
