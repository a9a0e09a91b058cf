"""Letting those know who follow what becomes of a system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from typing_extensions import Self

    from lifecycle._engine.loop import Loop

T = TypeVar("T")


class Pulse:
    """Beats whenever something has changed. It costs next to nothing while nobody listens."""

    __slots__ = ("_loop", "_next", "count", "is_over")

    def __init__(self, loop: Loop) -> None:
        """Nothing has changed yet; who follows it does so on this loop."""
        self._loop = loop
        self.count = 0
        self.is_over = False
        """Whether nothing will change any more."""
        self._next: anyio.Event | None = None

    def beat(self) -> None:
        """Something has changed. On the loop's thread."""
        self.count += 1
        if self._next is not None:
            self._next.set()
            self._next = None

    def end(self) -> None:
        """Something has changed, for the last time."""
        self.is_over = True
        self.beat()

    async def after(self, count: int) -> None:
        """Return once it has beaten more often than `count`."""
        self._loop.refuse_others()
        while self.count == count:
            if self._next is None:
                self._next = anyio.Event()
            await self._next.wait()


class Changes(AsyncIterator[T]):
    """A snapshot of now, and another one whenever something has changed since the last.

    Who is slow gets the newest. No generator, so that leaving it early leaves nothing behind.
    """

    def __init__(self, pulse: Pulse, snapshot: Callable[[], T], *, pause: float = 0.0) -> None:
        """Take snapshots along a pulse, with a pause of some seconds before each but the first."""
        self._pulse = pulse
        self._pause = pause
        self._snapshot = snapshot
        self._seen: int | None = None

    def __aiter__(self) -> Self:
        """Iterate."""
        return self

    async def __anext__(self) -> T:
        """The next snapshot; none after the last change was seen."""
        if self._seen is not None and self._pulse.is_over and self._pulse.count == self._seen:
            raise StopAsyncIteration
        if self._seen is not None:
            await self._pulse.after(self._seen)
            if self._pause and not self._pulse.is_over:
                await anyio.sleep(self._pause)
        # One turn of the loop, so that what changes in the same instant is seen together.
        await anyio.lowlevel.checkpoint()
        self._seen = self._pulse.count
        return self._snapshot()
