"""A file descriptor kept back for bad days."""

from __future__ import annotations

import contextlib
import socket


class Reserve:
    """One file descriptor, held so that it can be given up.

    A service that has used up all of its own is one that a probe has to be answered for, and the
    kernel lets nobody in without a descriptor.
    """

    def __init__(self) -> None:
        """Hold one, if there is one."""
        self._held: socket.socket | None = None
        self.refill()

    def give_up(self) -> bool:
        """Free the descriptor; say whether there was one to free."""
        if self._held is None:
            return False
        self._held.close()
        self._held = None
        return True

    def refill(self) -> None:
        """Hold one again, if there is one."""
        if self._held is None:
            with contextlib.suppress(OSError):
                self._held = socket.socket()
