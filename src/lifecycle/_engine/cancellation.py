"""Telling cancellations, and what asks for the end, from errors."""

from __future__ import annotations

import anyio

from lifecycle.errors import leaf


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


def cause_in(error: BaseException | None) -> BaseException | None:
    """What was going on when a cancellation, or what asks for the end, came on top of it."""
    while error is not None and (is_cancellation(error) or exit_in(error) is not None):
        error = error.__context__
    return None if error is None else leaf(error)
