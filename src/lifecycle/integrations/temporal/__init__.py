"""Temporal's client and worker as components, on asyncio and uvloop.

::

    temporal = shop.add(client("localhost:7233"), name="temporal")

    @shop.build(drain_timeout=20)
    def orders(
        temporal: Client = requires(temporal), database: Pool = requires(database)
    ) -> Worker:
        activities = Activities(database)
        return worker(temporal, task_queue="orders", activities=[activities.pack])

Asked to drain, the worker polls no more, finishes the activities that it has, and delivers their
results: while the client, and whatever the activities use, are still open. Each activity is work in
flight of the worker, from when it is taken until its result was delivered. What is left when the
time to drain is over is cancelled, and reported as failed, so that Temporal tries it again at once.
"""

from __future__ import annotations

try:
    from lifecycle.integrations.temporal._client import Connection, client
    from lifecycle.integrations.temporal._worker import Worker, worker
except ImportError as error:
    if (error.name or "").partition(".")[0] != "temporalio":
        raise
    message = "temporalio is not installed: pip install 'anyio-lifecycle[temporal]'"
    raise ImportError(message, name=error.name) from error

__all__ = ["Connection", "Worker", "client", "worker"]
