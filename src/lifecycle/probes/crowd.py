"""All connections to a probe server: how many there may be, and who has to go for a new one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio

from lifecycle.probes.reserve import Reserve

if TYPE_CHECKING:
    from collections.abc import Generator

    from lifecycle.probes.bounds import Bounds
    from lifecycle.probes.connection import Connection


class Crowd:
    """The open connections of one server.

    Of those that do nothing but keep us waiting, the one whose turn began first goes first. A turn
    is a request or an answer, however many pieces it comes in: who sends a byte now and then is as
    old as his first.
    """

    def __init__(self, bounds: Bounds) -> None:
        """Nobody is there."""
        self.bounds = bounds
        self.reserve = Reserve()
        self.viewers = 0
        """How many watch."""
        self.is_closing = False
        """Whether nobody is waited for any more."""
        self._by_turn: dict[Connection, None] = {}
        self._closing: set[Connection] = set()
        self._changed: anyio.Event | None = None

    @property
    def size(self) -> int:
        """How many there are, those that are being closed included."""
        return len(self._by_turn) + len(self._closing)

    # --- their places --------------------------------------------------------------------------

    def enter(self, connection: Connection) -> None:
        """A new one is there; if that is one too many, another one goes."""
        self._by_turn[connection] = None
        if len(self._by_turn) > self.bounds.connections:
            self.dismiss_one()

    def dismiss_one(self) -> bool:
        """Close the one that has kept us waiting longest; say whether there was one."""
        longest = next((one for one in self._by_turn if one.waits), None)
        if longest is None:
            return False
        del self._by_turn[longest]
        self._closing.add(longest)
        longest.close()
        return True

    def leave(self, connection: Connection) -> None:
        """One is closed."""
        self._by_turn.pop(connection, None)
        self._closing.discard(connection)
        self.reserve.refill()
        self._tell()

    async def has_place(self) -> None:
        """Return when a new one could be taken: there is a place, or somebody who has to go."""
        while len(self._by_turn) >= self.bounds.connections:
            if any(one.waits for one in self._by_turn):
                return
            await self._change()

    async def is_smaller(self, size: int) -> None:
        """Return when there are fewer than so many."""
        while self.size >= size:
            await self._change()

    # --- what they do --------------------------------------------------------------------------

    def renew(self, connection: Connection) -> None:
        """Its next turn begins."""
        if self._by_turn.pop(connection, self) is None:
            self._by_turn[connection] = None

    @contextlib.contextmanager
    def waiting(self, connection: Connection) -> Generator[None]:
        """Meanwhile nothing goes on in it but waiting for the client."""
        connection.waits = True
        self._tell()
        try:
            yield
        finally:
            connection.waits = False

    @contextlib.contextmanager
    def viewing(self) -> Generator[None]:
        """Meanwhile it watches."""
        self.viewers += 1
        try:
            yield
        finally:
            self.viewers -= 1

    # --- the end -------------------------------------------------------------------------------

    async def close(self) -> None:
        """Wait for nobody any more, and return when all have got what they asked for."""
        self.is_closing = True
        for one in self._by_turn:
            one.hurry()
        await self.is_smaller(1)

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()
