"""Telling cancellations from errors."""

from __future__ import annotations

import anyio


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception is a cancellation, or a group of nothing else."""
    parts = getattr(error, "exceptions", None)  # of a group; no built-in name on Python 3.10
    if parts:
        return all(is_cancellation(one) for one in parts)
    return isinstance(error, anyio.get_cancelled_exc_class())
