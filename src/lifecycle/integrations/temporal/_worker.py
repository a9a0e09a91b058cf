"""The worker as an object with a life, for ``add`` and ``build``."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import anyio
import temporalio.client
import temporalio.worker
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError

from lifecycle.integrations._living import Living
from lifecycle.integrations._living import owner as current_owner
from lifecycle.integrations._threads import thread_pool
from lifecycle.integrations.temporal._activities import Activities
from lifecycle.integrations.temporal._asyncio import require_asyncio
from lifecycle.integrations.temporal._working import Working

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

_YEAR: Final = timedelta(days=365)
"""As long as it takes: how long that may be is decided elsewhere."""
_THREADS: Final = 100
"""How many activities a worker runs at the same time, where nobody has said; Temporal's default."""

_logger = logging.getLogger("lifecycle.integrations.temporal")


def worker(
    client: temporalio.client.Client,
    *,
    task_queue: str,
    activities: Sequence[Callable[..., Any]] = (),
    workflows: Sequence[type] = (),
    **options: Any,
) -> Worker:
    """Make a worker, for ``add`` and ``build``.

    Args:
        client: connected, as the component of a :func:`~lifecycle.integrations.temporal.client` is.
        task_queue: what it polls.
        activities: what it runs; those that are not async run in threads.
        workflows: likewise.
        **options: those of ``temporalio.worker.Worker``. Where no ``activity_executor`` is given,
            the worker has threads of its own. There is no ``graceful_shutdown_timeout``: activities
            have the time that the component has to drain.

    Raises:
        TypeError: an option is unknown, or has no meaning here.

    """
    if "graceful_shutdown_timeout" in options:
        message = (
            "'graceful_shutdown_timeout' cannot be used here: activities have the time that the "
            "component has to drain, `drain_timeout=…`"
        )
        raise TypeError(message)
    if not activities and not workflows and not options.get("nexus_service_handlers"):
        message = "the worker has nothing to do: give it `activities=[…]`, or `workflows=[…]`"
        raise TypeError(message)
    options |= {"task_queue": task_queue, "activities": activities, "workflows": workflows}
    inspect.signature(temporalio.worker.Worker).bind(client, **options)
    return Worker(client, options)


class Worker(Living):
    """A worker with a life: an async context manager with a ``drain``.

    Entered, it sees that the namespace is there, and polls; that raises a RuntimeError where the
    namespace cannot be used, it runs already, or there is no asyncio. Left, it ends what is left.
    """

    def __init__(self, client: temporalio.client.Client, options: dict[str, Any]) -> None:
        """Made by :func:`worker`."""
        super().__init__()
        self._client = client
        self._options = options
        self._working: Working | None = None

    @property
    def task_queue(self) -> str:
        """What it polls."""
        return str(self._options["task_queue"])

    @property
    def worker(self) -> temporalio.worker.Worker:
        """Temporal's own worker, while it runs.

        Raises:
            RuntimeError: it does not.

        """
        if self._working is None:
            message = f"{self!r} does not run"
            raise RuntimeError(message)
        return self._working.worker

    async def drain(self) -> None:
        """Poll no more, finish the activities that there are, and deliver their results."""
        if self._working is not None:
            await self._working.shut_down()

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncGenerator[None]:
        require_asyncio()
        owner = current_owner()
        await self._see_namespace()
        failures: list[BaseException] = []
        running = anyio.CancelScope()

        def crashed(failure: BaseException) -> None:
            failures.append(failure)
            running.cancel()

        options = dict(self._options)
        at_once = options.get("max_concurrent_activities") or _THREADS
        async with thread_pool(at_once, f"lifecycle {self.task_queue}") as threads:
            options.setdefault("activity_executor", threads)
            activities = Activities(owner)
            options["interceptors"] = [activities, *options.get("interceptors", ())]
            on_fatal_error = options.pop("on_fatal_error", None)
            make = functools.partial(
                temporalio.worker.Worker,
                self._client,
                graceful_shutdown_timeout=_YEAR,
                **options,
            )
            working = Working(make, activities, crashed, on_fatal_error)
            async with working.living(lambda: math.inf if owner is None else owner.time_left):
                self._working = working
                who = "it" if owner is None else owner.name
                _logger.info("%s polls %r of %r", who, self.task_queue, self._client.namespace)
                with running:
                    yield
                if failures:
                    raise failures[0]

    async def _see_namespace(self) -> None:
        """Ask for what the worker would ask for first, to fail before it has started."""
        namespace = self._client.namespace
        try:
            await self._client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace)
            )
        except RPCError as error:
            message = (
                f"Temporal does not let the namespace {namespace!r} be used: "
                f"{error.status.name}: {error.message}"
            )
            raise RuntimeError(message) from error

    def __repr__(self) -> str:
        return f"<temporal.Worker of {self.task_queue!r}>"
