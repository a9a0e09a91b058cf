"""How a thread wakes a task, on any event loop."""

from __future__ import annotations

import contextlib
import os
import threading

import anyio


class Bell:
    """Rung from any thread; one task waits for it."""

    def __init__(self) -> None:
        """Make it. It has to be closed."""
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            os.set_blocking(fd, False)
        self._lock = threading.Lock()
        self._is_closed = False

    def fileno(self) -> int:
        """What becomes readable when it is rung."""
        return self._reader

    def ring(self) -> None:
        """Wake whoever waits, or is about to wait; nobody, where it is closed."""
        with self._lock, contextlib.suppress(BlockingIOError):  # rung that often already
            if not self._is_closed:
                os.write(self._writer, b"!")

    async def wait(self) -> None:
        """Return when it was rung since the last time."""
        await anyio.wait_readable(self._reader)
        os.read(self._reader, 4096)

    def close(self) -> None:
        """Close it; nobody waits any more."""
        with self._lock:
            self._is_closed = True
            os.close(self._reader)
            os.close(self._writer)
