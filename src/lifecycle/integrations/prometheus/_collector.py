"""What ``prometheus_client`` asks at each scrape: one for all systems that share their names."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from lifecycle.integrations.prometheus._families import COUNTERS, GAUGES
from lifecycle.integrations.prometheus._runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from lifecycle import System
    from lifecycle.events import Event, Observer


class Collector:
    """All systems that are shown under one prefix in one registry.

    Systems come, change and go on the threads of their loops, and are read on any other.
    """

    def __init__(self, prefix: str) -> None:
        """Nothing is shown yet."""
        self._prefix = prefix
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._totals: dict[str, dict[tuple[str, ...], float]] = {one.name: {} for one in COUNTERS}

    def show(self, system: System) -> Observer:
        """Show a system from here on; returns what is to be told its events."""
        with self._lock:
            label = self._free_label(system.name)
            run = self._runs[label] = Run(label, system)

        def observe(event: Event) -> None:
            run.observe(event)
            with self._lock:
                self._count(label, event)

        return observe

    def _free_label(self, name: str) -> str:
        """The name of the system; where another one with that name still runs, with a number."""
        numbered = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
        return next(label for label in numbered if not self._is_taken(label))

    def _is_taken(self, label: str) -> bool:
        run = self._runs.get(label)
        return run is not None and not run.is_over

    def _count(self, label: str, event: Event) -> None:
        for counter in COUNTERS:
            if isinstance(event, counter.event):
                totals, labels = self._totals[counter.name], (label, *counter.of(event))
                totals[labels] = totals.get(labels, 0.0) + counter.by(event)

    def describe(self) -> list[Metric]:
        """All families without values, so that others with their names are found early."""
        return [*self._gauges(()), *self._counters({})]

    def collect(self) -> list[Metric]:
        """All families as they stand now. From any thread."""
        with self._lock:
            runs = list(self._runs.values())
            totals = {name: dict(counted) for name, counted in self._totals.items()}
        return [*self._gauges(runs), *self._counters(totals)]

    def _gauges(self, runs: Iterable[Run]) -> Iterable[Metric]:
        views = [run.view() for run in runs]
        for gauge in GAUGES:
            labels = ("system", *gauge.labels)
            family = GaugeMetricFamily(f"{self._prefix}_{gauge.name}", gauge.help, labels=labels)
            for view in views:
                for values, number in gauge.values(view):
                    family.add_metric((view.label, *values), number)
            yield family

    def _counters(self, totals: dict[str, dict[tuple[str, ...], float]]) -> Iterable[Metric]:
        for counter in COUNTERS:
            labels = ("system", *counter.labels)
            family = CounterMetricFamily(
                f"{self._prefix}_{counter.name}", counter.help, labels=labels
            )
            for values, number in totals.get(counter.name, {}).items():
                family.add_metric(values, number)
            yield family


# Two collectors of the same names would clash in a registry. So each registry has one for each
# prefix: it belongs to the registry, and goes with it.
_collectors: WeakKeyDictionary[CollectorRegistry, dict[str, Collector]] = WeakKeyDictionary()
_lock = threading.Lock()


def shared_collector(registry: CollectorRegistry, prefix: str) -> Collector:
    """Give the collector that a registry has for a prefix, or register a new one.

    Raises:
        ValueError: the registry has metrics of somebody else's by one of its names.

    """
    with _lock:
        known = _collectors.setdefault(registry, {})
        collector = known.get(prefix) or Collector(prefix)
        try:
            registry.register(collector)
        except ValueError as error:
            if prefix not in known:
                text = f"metrics named {prefix}_… cannot be shown in that registry: {error}"
                message = f"{text}. Give another prefix: metrics(registry, prefix=…)"
                raise ValueError(message) from error
        known[prefix] = collector
        return collector
