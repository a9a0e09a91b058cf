"""aiomisc: each service waits in the context for those that it needs. All are stopped at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiomisc import Service
from aiomisc.entrypoint import Entrypoint

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.graphs import Graph


class _Part(Service):
    node: int
    needs: list[int]

    async def start(self) -> None:
        for dependency in self.needs:
            await self.context[f"c{dependency}"]
        self.context[f"c{self.node}"] = self.node

    async def stop(self, exception: Exception | None = None) -> Any:
        """Nothing to release."""


class Aiomisc:
    """Start and stop a graph."""

    def __init__(self, graph: Graph) -> None:
        """Nothing runs."""
        parts = [_Part(node=node, needs=needs) for node, needs in enumerate(graph)]
        self._entrypoint = Entrypoint(*parts, log_config=False, catch_signals=())

    async def __aenter__(self) -> None:
        """Start all; returns when the last is ready."""
        await self._entrypoint.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all."""
        await self._entrypoint.__aexit__(kind, error, traceback)
