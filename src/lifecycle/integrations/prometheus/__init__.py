"""Metrics of systems for Prometheus.

::

    metrics = prometheus.metrics()
    lifecycle.run(shop, companions=[metrics])

``metrics.registry`` is what ``prometheus_client`` serves, pushes or writes out. Everything is read
at the moment of a scrape, in whichever thread that is: there is no task that keeps it up to date.
"""

from __future__ import annotations

try:
    from lifecycle.integrations.prometheus._metrics import Metrics, metrics
except ImportError as error:
    if (error.name or "").partition(".")[0] != "prometheus_client":
        raise
    message = "prometheus_client is not installed: pip install 'anyio-lifecycle[prometheus]'"
    raise ImportError(message, name=error.name) from error

__all__ = ["Metrics", "metrics"]
