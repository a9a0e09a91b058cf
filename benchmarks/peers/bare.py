"""Bare asyncio tasks that await each other: as little as can keep the order, both ways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.graphs import Graph, turned_round

if TYPE_CHECKING:
    from asyncio import Task
    from types import TracebackType


class BareTasks:
    """Start and stop a graph; each takes `starts[node]` and `stops[node]` seconds."""

    def __init__(self, graph: Graph, starts: list[float], stops: list[float]) -> None:
        """Nothing runs."""
        self._graph = graph
        self._dependents = turned_round(graph)
        self._starts = starts
        self._stops = stops

    async def __aenter__(self) -> None:
        """Start all; returns when the last is ready."""
        tasks: list[Task[None]] = []
        for node, dependencies in enumerate(self._graph):
            before = [tasks[dependency] for dependency in dependencies]
            tasks.append(asyncio.create_task(self._after(before, self._starts[node])))
        await asyncio.gather(*tasks)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all, in reverse."""
        tasks: dict[int, Task[None]] = {}
        for node in reversed(range(len(self._graph))):
            before = [tasks[dependent] for dependent in self._dependents[node]]
            tasks[node] = asyncio.create_task(self._after(before, self._stops[node]))
        await asyncio.gather(*tasks.values())

    @staticmethod
    async def _after(before: list[Task[None]], seconds: float) -> None:
        for task in before:
            await task
        await asyncio.sleep(seconds)
