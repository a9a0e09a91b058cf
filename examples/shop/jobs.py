"""A job queue in memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Jobs:
    """The numbers of orders that wait to be packed."""

    def __init__(self) -> None:
        """Make an empty queue."""
        self._into, self._out = anyio.create_memory_object_stream[int](math.inf)

    def put(self, order: int) -> None:
        """Put one in."""
        self._into.send_nowait(order)

    def __aiter__(self) -> AsyncIterator[int]:
        """Take them out, and wait for more."""
        return self._out

    def left(self) -> Iterator[int]:
        """Take out what is there, without waiting for more."""
        while self._out.statistics().current_buffer_used:
            yield self._out.receive_nowait()

    def close(self) -> None:
        """Close it."""
        self._into.close()
        self._out.close()
