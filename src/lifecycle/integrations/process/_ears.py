"""Reading what a program writes, in a thread: the program never waits for anybody here.

Not for an event loop that is busy, and not for a log that is slow: what is told to takes lines, and
does not wait.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from lifecycle.integrations.process._bell import Bell
from lifecycle.processes import Lines

if sys.platform == "linux":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lifecycle.integrations.process._ready import Source
    from lifecycle.processes import Stream

_CHUNK: Final = 64 * 1024
_PATIENCE: Final = 1.0
"""How long the end is waited for, in seconds: it takes no time, unless the machine hangs."""


class Ears:
    """The output of one run of a program."""

    def __init__(
        self,
        name: str,
        tell: Callable[[Stream, Sequence[str]], None],
        further: Iterable[Source] = (),
    ) -> None:
        """Make the pipes.

        Args:
            name: that of the thread.
            tell: called with lines, in the thread; it does not wait.
            further: what else is to be read.

        """
        self._name = name
        self._further = tuple(further)
        self._over = Bell()
        self._enough = Bell()
        self._has_begun = False
        self._is_over = threading.Event()
        self._readers: list[_Reader] = []
        writers: list[int] = []
        for stream in _STREAMS:
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self._readers.append(_Reader(reader, partial(tell, stream)))
            writers.append(writer)
        self.stdout, self.stderr = writers
        """What the program writes to."""

    def begin(self) -> None:
        """Read, once the program has been started."""
        os.close(self.stdout)
        os.close(self.stderr)
        self._has_begun = True
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    async def end(self) -> None:
        """Read what is left of a program that has ended. It may be called again."""
        self._enough.ring()
        with anyio.move_on_after(_PATIENCE, shield=True):
            while not self._is_over.is_set():
                await self._over.wait()

    def close(self) -> None:
        """Let go of everything."""
        if not self._has_begun:
            for fd in (self.stdout, self.stderr, *(reader.fd for reader in self._readers)):
                os.close(fd)
        self._over.close()
        self._enough.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._enough, selectors.EVENT_READ, None)
            for fd, read in (*((one.fd, one.read) for one in self._readers), *self._further):
                selector.register(fd, selectors.EVENT_READ, read)
            while self._listen(selector):
                pass
        for reader in self._readers:
            reader.finish()
        self._is_over.set()
        self._over.ring()

    @staticmethod
    def _listen(selector: selectors.BaseSelector) -> bool:
        """Read what there is; says whether there may be more."""
        for key, _ in selector.select():
            if key.data is None:
                return False
            if not key.data():
                selector.unregister(key.fileobj)
        return True


class _Reader:
    def __init__(self, fd: int, tell: Callable[[Sequence[str]], None]) -> None:
        self.fd = fd
        self._tell = tell
        self._lines = Lines()

    def read(self) -> bool:
        """Read once; says whether there may be more."""
        try:
            data = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return True
        self._pass_on(self._lines.feed(data))
        return bool(data)

    def finish(self) -> None:
        """Tell what is in the pipe now, the last line included, without waiting for more."""
        # No more than it can hold: what has left the group may write without end.
        left = _capacity(self.fd)
        with contextlib.suppress(BlockingIOError):
            while left > 0 and (data := os.read(self.fd, _CHUNK)):
                left -= len(data)
                self._pass_on(self._lines.feed(data))
        self._pass_on(self._lines.end())
        os.close(self.fd)

    def _pass_on(self, lines: Iterable[str]) -> None:
        told = list(lines)
        if told:
            self._tell(told)


def _capacity(fd: int) -> int:
    if sys.platform == "linux":
        return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
    return _CHUNK  # pragma: no cover


_STREAMS: Final[tuple[Stream, Stream]] = ("stdout", "stderr")
