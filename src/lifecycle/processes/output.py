"""What a program writes, as lines of text: as they come, of bounded length, whatever the bytes."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, Literal

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Stream = Literal["stdout", "stderr"]
"""Where a program wrote a line."""

MAX_LINE = 16 * 1024
"""How many bytes of a line are kept. Docker cuts at 16 KiB, journald at 48."""

_CHUNK = 64 * 1024  # what a pipe holds, on Linux

# The largest pipe that an unprivileged process can make on Linux (/proc/sys/fs/pipe-max-size), so
# that whatever the dead have left in a pipe is read, and a living stranger who writes into it
# without end is not waited for.
_MOST_LEFT = 1024 * 1024


class Lines:
    """Cuts bytes into lines."""

    def __init__(self) -> None:
        """Begin with an empty line."""
        self._line = bytearray()
        self._dropped = 0

    def feed(self, data: bytes) -> Iterator[str]:
        """Take further bytes, and give the lines that they end."""
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._add(part)
            yield self._take()
        self._add(rest)

    def end(self) -> Iterator[str]:
        """Give the last line, where it has no line end."""
        if self._line:
            yield self._take()

    def _add(self, part: bytes) -> None:
        kept = part[: MAX_LINE - len(self._line)]
        self._line += kept
        self._dropped += len(part) - len(kept)

    def _take(self) -> str:
        text = self._line.removesuffix(b"\r").decode(errors="replace")
        if self._dropped:
            text += f" … ({self._dropped} bytes more)"
        self._line.clear()
        self._dropped = 0
        return text


class Pipe:
    """The end of a pipe at which a program's output is read, and told line by line."""

    def __init__(self, file: IO[bytes], tell: Callable[[str], None]) -> None:
        """Read from `file`, unbuffered, and pass each line to `tell`."""
        self._file = file
        self._fd = fd = file.fileno()
        self._tell = tell
        self._lines = Lines()
        self._enough = False
        if sys.platform != "win32":
            os.set_blocking(fd, False)

    async def read(self) -> None:
        """Tell lines until everyone who could write has closed the pipe, or :meth:`stop`."""
        # One read for each wait, so that a program that floods us does not starve the event loop.
        while not self._enough and (data := await self._next()):
            self._pass_on(self._lines.feed(data))

    def stop(self) -> None:
        """Have :meth:`read` end, once it has been cancelled too.

        To cancel it is not enough where the pipe is never empty: on asyncio, anyio does not cancel
        a task whose wait is over already, and on uvloop it then always is.
        """
        self._enough = True

    def close(self) -> None:
        """Tell what is in the pipe now, the last line included, without waiting for more."""
        left = 0 if sys.platform == "win32" else _MOST_LEFT  # there, a read would block
        try:
            while left > 0 and (data := os.read(self._fd, _CHUNK)):
                left -= len(data)
                self._pass_on(self._lines.feed(data))
        except BlockingIOError:
            pass
        self._pass_on(self._lines.end())
        self._file.close()

    async def _next(self) -> bytes:
        if sys.platform == "win32":  # pragma: no cover  pipes cannot be waited for there
            return await anyio.to_thread.run_sync(
                os.read, self._fd, _CHUNK, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
            )
        while True:
            await anyio.wait_readable(self._fd)
            try:
                return os.read(self._fd, _CHUNK)
            except BlockingIOError:
                continue

    def _pass_on(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._tell(line)
