"""Waking one task, once: an event that is as cheap as the event loop can make it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable


class Bell(Protocol):
    """What one task waits for, once; `anyio.Event` is one."""

    def set(self) -> None:
        """Wake it; also before it waits."""
        ...

    def wait(self) -> Awaitable[object]:
        """Await what this returns, to be woken."""
        ...


class FutureBell:
    """A bell on asyncio: a future, and none of what an event has for those who wait with it."""

    __slots__ = ("_future",)

    def __init__(self, create_future: Callable[[], asyncio.Future[None]]) -> None:
        """Nobody has rung it."""
        self._future = create_future()

    def set(self) -> None:
        """Wake it; a wait that was cancelled is over, and is not woken."""
        if not self._future.done():
            self._future.set_result(None)

    def wait(self) -> Awaitable[object]:
        """Await what this returns, to be woken."""
        return self._future
