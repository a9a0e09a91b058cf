"""What is raised when all wait, and nothing can end that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.testing._stacks import Wait


class StalledError(RuntimeError):
    """All wait, and nothing can end that: no timer is due, nothing works, nothing arrives.

    What waited was cancelled before this was raised, so that it could clean up.
    """

    def __init__(
        self, reason: str, now: float, waits: Sequence[Wait], threads: Sequence[str] = ()
    ) -> None:
        """Say who waits for what."""
        super().__init__(reason, now, waits, threads)
        self.reason = reason
        """Why nothing can end it."""
        self.now = now
        """When, in virtual seconds."""
        self.waits = tuple(waits)
        """The tasks: who waits where."""
        self.threads = tuple(threads)
        """The stacks of the threads that are in somebody's code."""

    def __str__(self) -> str:
        lines = [f"at {self.now:g} s of virtual time all wait, and nothing can end that:"]
        lines += [f"{self.reason}; who waits:", *(f"  {one}" for one in self.waits)]
        return "\n".join((*lines, *self.threads))
