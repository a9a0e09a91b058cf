"""Reading metrics as Prometheus does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


def scrape(registry: CollectorRegistry) -> dict[str, float]:
    """Give every sample by its line, ``lifecycle_ready{system="shop"}``, read from the text."""
    return _samples(parse(generate_latest(registry).decode()))


def scrape_openmetrics(registry: CollectorRegistry) -> dict[str, float]:
    """The same from the other format, whose parser is the stricter one."""
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call] # it is not typed
    return _samples(parse_openmetrics(text))  # type: ignore[no-untyped-call] # likewise


def _samples(families: Iterable[Metric]) -> dict[str, float]:
    samples = [
        (f"{sample.name}{{{labels(sample.labels)}}}", sample.value)
        for family in families
        for sample in family.samples
    ]
    assert len(samples) == len(dict(samples)), "a sample is there twice"
    return dict(samples)


def labels(given: dict[str, str]) -> str:
    """Write labels as Prometheus does, the system first, and leave out what is empty."""
    order = ["system", *sorted(set(given) - {"system"})]
    return ", ".join(f'{name}="{given[name]}"' for name in order if given[name])


def shown(registry: CollectorRegistry, *names: str) -> list[str]:
    """Give what is not 0 of some metrics (of all, if none are named), as lines."""
    return [
        f"{line.removeprefix('lifecycle_')} {round(value, 3):g}"
        for line, value in scrape(registry).items()
        if value and (not names or line.partition("{")[0].removeprefix("lifecycle_") in names)
    ]
