"""Writing into the log, in a thread: neither the event loop nor a program waits for a handler.

What a program writes faster than the log takes it is kept, up to a limit; then lines are dropped,
and counted.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

import anyio

from lifecycle import console
from lifecycle.errors import plural
from lifecycle.integrations.process._bell import Bell

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    Entry = tuple[logging.Logger, int, str, tuple[object, ...], Mapping[str, object]]

MOST_LINES: Final = 10_000
MOST_TEXT: Final = 8 * 1024 * 1024
"""How much is kept, in characters."""
_PATIENCE: Final = 1.0
"""How long the end is waited for, in seconds: a handler may be stuck for ever."""


class Log:
    """The log of one component."""

    def __init__(self) -> None:
        """Nothing has been written."""
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._dropped: dict[logging.Logger, int] = {}
        self._changed = threading.Condition()
        self._is_ending = False
        self._is_over = False

    def lines(
        self,
        logger: logging.Logger,
        texts: Sequence[str],
        *,
        level: int,
        extra: Mapping[str, object],
    ) -> None:
        """Have lines of a program logged, or drop them. From any thread; it does not wait."""
        if not logger.isEnabledFor(level):
            return
        with self._changed:
            for number, text in enumerate(texts):
                if len(self._entries) >= MOST_LINES or self._size + len(text) > MOST_TEXT:
                    dropped = self._dropped.get(logger, 0) + len(texts) - number
                    self._dropped[logger] = dropped
                    return
                self._say_dropped()
                self._add((logger, level, "%s", (text,), extra), len(text))

    def say(self, logger: logging.Logger, level: int, message: str, *args: object) -> None:
        """Have a message of ours logged, behind the lines that came before."""
        with self._changed:
            self._say_dropped()
            self._add((logger, level, message, args, {}), 0)

    @contextlib.asynccontextmanager
    async def living(self, name: str) -> AsyncGenerator[None]:
        """Write, and at the end write what is left, in the time that there is."""
        over = Bell()
        context = contextvars.copy_context()

        def run() -> None:
            try:
                context.run(self._run)
            finally:
                self._is_over = True
                over.ring()

        threading.Thread(target=run, name=f"lifecycle {name}: log", daemon=True).start()
        try:
            yield
        finally:
            with self._changed:
                self._say_dropped()
                self._is_ending = True
                self._changed.notify()
            with anyio.move_on_after(_PATIENCE, shield=True):
                while not self._is_over:
                    await over.wait()
            self._tell_what_is_left(name)
            over.close()

    def _tell_what_is_left(self, name: str) -> None:
        """Say on stderr what may be lost: the log is what does not keep up."""
        with self._changed:
            left = sum(entry[2] == "%s" for entry in self._entries)
        if left:
            lines = f"{plural(left, 'line')} of the output of {name!r}"
            console.say(f"lifecycle: {lines} are not logged yet {_PATIENCE:g} s after its end\n")

    def _add(self, entry: Entry, size: int) -> None:
        self._entries.append(entry)
        self._size += size
        self._changed.notify()

    def _say_dropped(self) -> None:
        for logger, count in self._dropped.items():
            message = "%s of output dropped: the log did not keep up"
            entry: Entry = (logger, logging.WARNING, message, (plural(count, "line"),), {})
            self._entries.append(entry)
        self._dropped.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._entries and not self._is_ending:
                    self._changed.wait()
                if not self._entries:
                    return
                logger, level, message, args, extra = self._entries.popleft()
                if message == "%s":
                    self._size -= len(str(args[0]))
            # A handler or a filter of the user's that raises is not to end it.
            with contextlib.suppress(Exception):
                logger.log(level, message, *args, extra=dict(extra))
