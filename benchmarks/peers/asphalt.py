"""asphalt: each component adds a resource, requests those that it needs, and has a teardown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asphalt.core import Component, ContainerComponent, Context

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.graphs import Graph


class _Part(Component):
    def __init__(
        self, node: int, needs: list[int], starts: float | None, stops: float | None
    ) -> None:
        self._node = node
        self._needs = needs
        self._starts = starts
        self._stops = stops

    async def start(self, ctx: Context) -> None:
        for dependency in self._needs:
            await ctx.request_resource(int, f"c{dependency}")
        if self._starts is not None:
            await asyncio.sleep(self._starts)
        ctx.add_teardown_callback(self._stop)
        ctx.add_resource(self._node, f"c{self._node}", types=[int])

    async def _stop(self) -> None:
        if self._stops is not None:
            await asyncio.sleep(self._stops)


class Asphalt:
    """Start and stop a graph; each takes `starts[node]` and `stops[node]` seconds, or none."""

    def __init__(
        self, graph: Graph, starts: list[float] | None = None, stops: list[float] | None = None
    ) -> None:
        """Nothing runs."""
        self._graph = graph
        self._starts = starts
        self._stops = stops
        self._root = ContainerComponent()
        for node, needs in enumerate(graph):
            self._root.child_components[f"c{node}"] = _Part(
                node,
                needs,
                None if starts is None else starts[node],
                None if stops is None else stops[node],
            )

    async def __aenter__(self) -> None:
        """Start all; returns when the last is ready."""
        self._context = Context()
        await self._context.__aenter__()
        await self._root.start(self._context)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all, in reverse of the order in which they became ready."""
        await self._context.__aexit__(kind, error, traceback)
