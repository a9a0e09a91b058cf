"""Iterating, and sleeping, until a flag is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from lifecycle._engine.flag import Flag

T = TypeVar("T")


async def until(flag: Flag, source: AsyncIterable[T]) -> AsyncIterator[T]:
    """Yield the items of a source, and end when the flag is set.

    Only the wait for the next item is cut short, never what the caller does with one: between two
    items no cancel scope of ours is open. An item that has arrived is delivered.
    """
    items = source.__aiter__()
    while not flag.is_set:
        arrived: list[T] = []
        with flag.cutting_short():
            try:
                arrived.append(await items.__anext__())
            except StopAsyncIteration:
                return
        for item in arrived:
            yield item


async def sleep_unless(flag: Flag, seconds: float) -> bool:
    """Sleep; says whether it was to the end, and not cut short by the flag."""
    with flag.cutting_short():
        await anyio.sleep(seconds)
    return not flag.is_set
