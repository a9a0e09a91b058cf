"""Iterating, and sleeping, until a flag is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from lifecycle._engine.flag import Flag

T = TypeVar("T")


class Until(AsyncIterator[T]):
    """The items of a source, until a flag is set.

    Only the wait for the next item is cut short, never what the caller does with one: between two
    items no cancel scope of ours is open. An item that has arrived is delivered. No generator, so
    that leaving the iteration early leaves nothing behind.
    """

    def __init__(self, flag: Flag, source: AsyncIterable[T]) -> None:
        """Iterate over a source.

        Raises:
            TypeError: it cannot be iterated over.

        """
        if not hasattr(source, "__aiter__"):
            message = f"until_draining() takes what `async for` iterates over, not {source!r}"
            raise TypeError(message)
        self._flag = flag
        self._items = source.__aiter__()

    async def __anext__(self) -> T:
        """The next item, unless there is none, or none any more."""
        arrived: list[T] = []
        if not self._flag.is_set:
            with self._flag.cutting_short():
                arrived.append(await self._items.__anext__())
        if not arrived:
            raise StopAsyncIteration
        return arrived[0]


async def sleep_unless(flag: Flag, seconds: float) -> bool:
    """Sleep; says whether it was to the end, and not cut short by the flag."""
    with flag.cutting_short():
        await anyio.sleep(seconds)
    return not flag.is_set
