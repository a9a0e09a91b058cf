"""Systems of ours, made of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import anyio

from lifecycle import Registry, Settings, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from typing import Any, TypeAlias

    from benchmarks.graphs import Graph
    from lifecycle import Component, System

    Kind: TypeAlias = Literal["generator", "value"]

SETTINGS = Settings(grace_period=1e7, close_reserve=5e6, startup_timeout=None)
"""So much time that none runs out, however slow the machine is."""


def registry(
    graph: Graph,
    starts: list[float] | None = None,
    stops: list[float] | None = None,
    *,
    kind: Kind = "generator",
) -> Registry:
    """Declare a graph; each component takes `starts[node]` and `stops[node]` seconds, or none."""
    made = Registry("bench")
    handles: list[Component[Any]] = []
    for node, dependencies in enumerate(graph):
        name = f"c{node}"
        if kind == "value":
            handles.append(made.value(node, name=name))
            continue
        requires = [handles[dependency] for dependency in dependencies]
        slow = None if starts is None or stops is None else _Slow(starts[node], stops[node])
        handles.append(made.component(name=name, requires=requires)(slow or _instant))
    return made


def system(
    graph: Graph, starts: list[float] | None = None, stops: list[float] | None = None
) -> AbstractAsyncContextManager[System, None]:
    """Declare a graph and plan it; what is left is to run it."""
    return running(registry(graph, starts, stops).plan(SETTINGS), SETTINGS)


async def _instant() -> AsyncIterator[None]:
    yield


class _Slow:
    def __init__(self, start: float, stop: float) -> None:
        self._start = start
        self._stop = stop

    async def __call__(self) -> AsyncIterator[None]:
        await anyio.sleep(self._start)
        yield
        await anyio.sleep(self._stop)
