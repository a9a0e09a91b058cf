"""What one would write by hand on anyio: a task and a cancel scope for each component, and events.

It keeps the order, both ways, and nothing else: no timeouts, no errors, no states, no report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio import CancelScope, Event, create_task_group

from benchmarks.graphs import Graph, turned_round

if TYPE_CHECKING:
    from types import TracebackType


class PlainTasks:
    """Start and stop a graph; each takes `starts[node]` and `stops[node]` seconds, or none."""

    def __init__(
        self, graph: Graph, starts: list[float] | None = None, stops: list[float] | None = None
    ) -> None:
        """Nothing runs."""
        self._graph = graph
        self._dependents = turned_round(graph)
        self._starts = starts
        self._stops = stops

    async def __aenter__(self) -> None:
        """Start all; returns when the last is ready."""
        size = len(self._graph)
        self._ready = [Event() for _ in range(size)]
        self._ended = [Event() for _ in range(size)]
        self._unready = size
        self._all_ready, self._stop = Event(), Event()
        self._group = create_task_group()
        await self._group.__aenter__()
        for node in range(size):
            self._group.start_soon(self._live, node)
        await self._all_ready.wait()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all, in reverse."""
        self._stop.set()
        await self._group.__aexit__(kind, error, traceback)

    async def _live(self, node: int) -> None:
        with CancelScope():
            for dependency in self._graph[node]:
                await self._ready[dependency].wait()
            if self._starts is not None:
                await anyio.sleep(self._starts[node])
            self._ready[node].set()
            self._unready -= 1
            if not self._unready:
                self._all_ready.set()
            await self._stop.wait()
            for dependent in self._dependents[node]:
                await self._ended[dependent].wait()
            if self._stops is not None:
                await anyio.sleep(self._stops[node])
            self._ended[node].set()
