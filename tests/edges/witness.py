"""Proof of who is alive: a FIFO that the processes of a test hold open.

It reports its end at the moment in which the last of them is gone, and not before; nobody has to
look again and again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from pathlib import Path


class Witness:
    """A FIFO into which the programs of a test write words, and which they hold open."""

    def __init__(self, path: Path) -> None:
        """Make it. Programs open it by its path, to write: ``exec 9>path``."""
        os.mkfifo(path)
        self.path = path
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        # Held open, so that its end is not reported before a program has opened it.
        self._writer: int | None = os.open(path, os.O_WRONLY)
        self._words = b""
        self.gate_path = path.with_name(f"{path.name}.gate")
        os.mkfifo(self.gate_path)
        self._gate = os.open(self.gate_path, os.O_RDWR)

    @property
    def wait_for_go(self) -> str:
        """The shell's words for: wait for :meth:`go`."""
        return f"read _ <'{self.gate_path}'"

    def go(self) -> None:
        """Let one program go on."""
        os.write(self._gate, b"go\n")

    async def word(self) -> str:
        """Wait for a line that a program writes."""
        while b"\n" not in self._words:
            await anyio.wait_readable(self._reader)
            self._words += os.read(self._reader, 4096)
        word, _, self._words = self._words.partition(b"\n")
        return word.decode()

    async def all_gone(self) -> str:
        """Wait until no program holds it open; give what they have written."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None
        while True:
            await anyio.wait_readable(self._reader)
            data = os.read(self._reader, 4096)
            if not data:
                return self._words.decode()
            self._words += data

    def close(self) -> None:
        """Close it."""
        os.close(self._reader)
        os.close(self._gate)
        if self._writer is not None:
            os.close(self._writer)
