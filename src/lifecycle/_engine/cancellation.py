"""Telling cancellations, and what asks for the end, from errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from lifecycle.errors import ClosedError, WorkCancelledError, is_only, leaf, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable


def is_cancellation(error: BaseException, cancelled: type[BaseException] | None = None) -> bool:
    """Whether an exception is a cancellation, or a group of nothing else.

    Args:
        error: the exception.
        cancelled: the loop's class of cancellations, for who may run in no task of it.

    """
    return is_only(error, (cancelled or anyio.get_cancelled_exc_class(),))


def is_of_the_end(error: BaseException) -> bool:
    """Whether it only says what is known: that the system shuts down, or has cut work off."""
    cancelled = anyio.get_cancelled_exc_class()
    return is_only(error, (cancelled, ClosedError, WorkCancelledError))


def knows_of_the_end(error: BaseException) -> bool:
    """Whether an exception was raised where it was known that the system shuts down."""
    behind: BaseException | None = leaf(error)
    while behind is not None and not is_of_the_end(behind):
        behind = behind.__context__
    return behind is not None


def is_cut_work(error: BaseException) -> bool:
    """Whether an exception is that of work that was cut off, and of nothing else."""
    kinds = (anyio.get_cancelled_exc_class(), WorkCancelledError)
    return not is_cancellation(error) and is_only(error, kinds)


def is_being_cancelled(task: object) -> bool:
    """Whether the task that runs, which this is, is to end: by a scope around it, or natively.

    A cancellation that it sees else is of something that it has awaited, and that was cancelled by
    itself. asyncio before Python 3.11 does not tell the native ones from that.
    """
    if anyio.current_effective_deadline() == -math.inf:
        return True
    count: Callable[[], int] | None = getattr(task, "cancelling", None)
    return count is not None and count() > 0


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
    others = [part for part in parts_of(error) if not isinstance(part, WorkCancelledError)]
    return culprit(others[0]) if len(others) == 1 else error


_LAST_CODE = 255
