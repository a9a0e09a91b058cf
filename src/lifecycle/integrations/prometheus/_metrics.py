"""What a user holds: a companion that shows the systems which it accompanies."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from lifecycle.integrations.prometheus._collector import shared_collector

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from lifecycle import System
    from lifecycle.integrations.prometheus._collector import Collector

# The client takes any text by now; what reads the names does not.
_PREFIX: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")


def metrics(registry: CollectorRegistry | None = None, *, prefix: str = "lifecycle") -> Metrics:
    """Make a companion that shows the systems which it accompanies to Prometheus.

    It may accompany any number of systems, one after the other or at the same time, and a registry
    may be given to any number of these: what has the same prefix in the same registry is shown
    together.

    Args:
        registry: where the metrics are to be found, ``prometheus_client.REGISTRY`` for example; by
            default a new one, which has nothing else in it.
        prefix: what the names of all metrics begin with.

    Raises:
        ValueError: the registry has metrics of somebody else's by one of these names, or the prefix
            cannot begin a name.

    """
    if not _PREFIX.fullmatch(prefix):
        message = f"prefix is {prefix!r}, but must be letters, digits and _, the first no digit"
        raise ValueError(message)
    registry = CollectorRegistry() if registry is None else registry
    return Metrics(registry, shared_collector(registry, prefix))


class Metrics:
    """A companion that shows the systems which it accompanies.

    When a system is over, its last values stay, until one of the same name begins: what is scraped
    or pushed at the very end has the whole shutdown in it.
    """

    name: Final = "prometheus"

    def __init__(self, registry: CollectorRegistry, collector: Collector) -> None:
        """Made by :func:`metrics`."""
        self.registry: Final = registry
        """Where the metrics are to be found."""
        self._collector = collector

    def __call__(self, system: System) -> AbstractAsyncContextManager[None]:
        """Accompany a system."""
        return self._accompany(system)

    @contextlib.asynccontextmanager
    async def _accompany(self, system: System) -> AsyncGenerator[None]:
        # It listens to the very end, which comes after that of the companions.
        system.observe(self._collector.show(system))
        yield
