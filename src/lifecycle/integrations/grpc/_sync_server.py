"""A synchronous ``grpc.server`` as a component, on every event loop."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import logging
import math
from typing import TYPE_CHECKING, Any, Final

import grpc

from lifecycle.errors import SettingsError
from lifecycle.integrations._living import owner
from lifecycle.integrations._threads import outlasted, thread_pool
from lifecycle.integrations._untraced import untraced
from lifecycle.integrations.grpc import _sync_health
from lifecycle.integrations.grpc._declared import Declared
from lifecycle.integrations.grpc._listening import Listening
from lifecycle.integrations.grpc._portal import open_portal
from lifecycle.integrations.grpc._sync_admission import SyncAdmission
from lifecycle.integrations.grpc._sync_serving import SyncServing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from lifecycle import Component

_FOR_HEALTH: Final = 4
"""How many threads the health service has, and those calls that are refused."""

_logger = logging.getLogger(__name__)


def sync_server(  # noqa: PLR0913  each of these is said by some, and all but two are optional
    register: Callable[[grpc.Server], object],
    *,
    address: str,
    workers: int = 10,
    health: bool = True,
    requires: Sequence[Component[Any]] | None = None,
    connection_age: float | None = None,
    credentials: grpc.ServerCredentials | None = None,
    **options: Any,
) -> SyncServer:
    """Make a synchronous server, for ``add`` and ``build``.

    Each call is handled in a thread, which nothing can interrupt: where one is left when the time
    to drain is over, its client is told, and it is waited for until the time to stop is over, too.
    After that the component is abandoned with it, and named in the report.

    Args:
        register: adds the servicers: it is called with a ``grpc.Server``, on the event loop,
            whenever the component starts.
        address: where to listen: ``"HOST:PORT"``, ``":PORT"`` for every interface, or
            ``"unix:PATH"``; port 0: at a free one, which is then :attr:`SyncServer.port`.
        workers: how many calls are handled at the same time; others wait.
        health: whether it answers ``grpc.health.v1`` for the system, past all interceptors.
        requires: calls are refused until these components are ready; by default until the whole
            system has started.
        connection_age: after how many seconds a client is told to connect anew; its calls go on.
            gRPC's clients keep their connection for as long as it lasts, so that one which is to
            lose no call to a restart needs this, or a retry policy. Choose it, and a tenth of it
            more, shorter than the drain delay less what the load balancer takes to hear of the end.
            By default they are never told.
        credentials: TLS, by ``grpc.ssl_server_credentials(…)``; by default there is none.
        **options: those of ``grpc.server``. The port is not shared (``grpc.so_reuseport``), unless
            ``options`` say so; ``interceptors`` see those calls that were let in.

    Raises:
        TypeError: an option is unknown.
        SettingsError: `address` is none, there are no `workers`, or `connection_age` is no time.

    """
    if "thread_pool" in options:
        message = "gRPC's 'thread_pool' cannot be used here: say how many `workers` there are"
        raise TypeError(message)
    if workers < 1:
        raise SettingsError("workers", workers, "at least 1")
    inspect.signature(grpc.server).bind(None, **options)
    declared = Declared(register, health, requires, options, connection_age)
    return SyncServer(declared, address, credentials, workers)


class SyncServer(Listening):
    """A synchronous ``grpc.server`` with a life: an async context manager with a ``drain``."""

    def __init__(
        self,
        declared: Declared[grpc.Server],
        address: str,
        credentials: grpc.ServerCredentials | None,
        workers: int,
    ) -> None:
        """Made by :func:`sync_server`."""
        super().__init__(address, credentials)
        self._declared = declared
        self._workers = workers
        self._serving: SyncServing | None = None

    async def drain(self) -> None:
        """Refuse new calls, finish those in flight, and then let go of the port.

        As long as calls are in flight, the health service answers.
        """
        if self._serving is None:
            return
        self._serving.calls.refuse()
        # Only then: see `Server.drain`.
        if await self._serving.calls.finished():
            await self._serving.close()
        else:
            await self._serving.abort()

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncGenerator[None]:
        life = owner()
        self._declared.look_at_delay(life)
        calls, health = self._declared.calls(life), self._declared.health(life)
        following = contextlib.nullcontext() if health is None else health.following()
        async with (
            following,
            open_portal() as portal,
            thread_pool(_FOR_HEALTH, "lifecycle grpc health") as for_health,
            thread_pool(self._workers, "lifecycle grpc") as threads,
        ):
            handlers = {} if health is None else _sync_health.handlers(health, portal, for_health)
            admission = SyncAdmission(calls, handlers, portal, for_health)
            server = grpc.server(threads, **self._declared.arguments(admission))
            serving = self._serving = SyncServing(server, calls, health)

            async def add_servicers() -> None:
                await self._declared.add_servicers(server, health)
                # Taken in a thread, it does not say that an event loop runs there.
                with untraced():
                    admission.context = await outlasted(contextvars.copy_context)

            async with serving.living(
                add_servicers,
                functools.partial(self._address.listen, server, self._credentials),
            ):
                _logger.info("%s listens at %s", "it" if life is None else life.name, self.target)
                try:
                    yield
                finally:
                    await serving.end(math.inf if life is None else life.time_left)
