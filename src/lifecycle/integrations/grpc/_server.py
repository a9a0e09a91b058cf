"""A server of ``grpc.aio`` as a component, on asyncio and uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
from typing import TYPE_CHECKING, Any

import anyio
import grpc
import grpc.aio

from lifecycle.integrations._living import owner
from lifecycle.integrations._untraced import untraced
from lifecycle.integrations.grpc import _aio_health
from lifecycle.integrations.grpc._admission import Admission
from lifecycle.integrations.grpc._declared import Declared
from lifecycle.integrations.grpc._listening import Listening
from lifecycle.integrations.grpc._own_loop import server_of_own_tasks
from lifecycle.integrations.grpc._serving import Serving, let_go

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from lifecycle import Component
    from lifecycle.integrations.grpc._calls import Calls
    from lifecycle.integrations.grpc._health import Health

_logger = logging.getLogger(__name__)


def server(  # noqa: PLR0913  each of these is said by some, and all but two are optional
    register: Callable[[grpc.aio.Server], object],
    *,
    address: str,
    health: bool = True,
    requires: Sequence[Component[Any]] | None = None,
    connection_age: float | None = None,
    credentials: grpc.ServerCredentials | None = None,
    **options: Any,
) -> Server:
    """Make an asynchronous server, for ``add`` and ``build``.

    Args:
        register: adds the servicers: it is called with a ``grpc.aio.Server``, on the event loop,
            whenever the component starts.
        address: where to listen: ``"HOST:PORT"``, ``":PORT"`` for every interface, or
            ``"unix:PATH"``; port 0: at a free one, which is then :attr:`Server.port`.
        health: whether it answers ``grpc.health.v1`` for the system, past all interceptors.
        requires: calls are refused until these components are ready; by default until the whole
            system has started.
        connection_age: after how many seconds a client is told to connect anew; its calls go on.
            gRPC's clients keep their connection for as long as it lasts, so that one which is to
            lose no call to a restart needs this, or a retry policy. Choose it, and a tenth of it
            more, shorter than the drain delay less what the load balancer takes to hear of the end.
            By default they are never told.
        credentials: TLS, by ``grpc.ssl_server_credentials(…)``; by default there is none.
        **options: those of ``grpc.aio.server``. The port is not shared (``grpc.so_reuseport``),
            unless ``options`` say so; ``interceptors`` see those calls that were let in;
            ``maximum_concurrent_rpcs`` counts calls of the health service, too.

    Raises:
        TypeError: an option is unknown.
        SettingsError: `address` is none, or `connection_age` is no time.

    """
    inspect.signature(grpc.aio.server).bind(**options)
    declared = Declared(register, health, requires, options, connection_age)
    return Server(declared, address, credentials)


class Server(Listening):
    """A server of ``grpc.aio`` with a life: an async context manager with a ``drain``."""

    def __init__(
        self,
        declared: Declared[grpc.aio.Server],
        address: str,
        credentials: grpc.ServerCredentials | None,
    ) -> None:
        """Made by :func:`server`."""
        super().__init__(address, credentials)
        self._declared = declared
        self._serving: Serving | None = None

    async def drain(self) -> None:
        """Refuse new calls, finish those in flight, and then let go of the port.

        As long as calls are in flight, the health service answers.
        """
        if self._serving is None:
            return
        self._serving.calls.refuse()
        # Only then: a connection that was told to go away is closed with its last call, whether
        # its client has read the reply or not. On a line of 1 MB/s all replies of 100 kB were lost.
        if await self._serving.calls.finished():
            self._serving.close()

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncGenerator[None]:
        _require_asyncio()
        life = owner()
        self._declared.look_at_delay(life)
        failures: list[BaseException] = []
        running = anyio.CancelScope()

        def crashed(failure: BaseException) -> None:
            failures.append(failure)
            running.cancel()

        calls, health = self._declared.calls(life), self._declared.health(life)
        admission = Admission(calls, {} if health is None else _aio_health.handlers(health))
        server = server_of_own_tasks(**self._declared.arguments(admission))
        await self._start(server, calls, health)
        serving = self._serving = Serving(server, calls, admission, health, crashed)
        following = contextlib.nullcontext() if health is None else health.following()
        async with following, serving.living(lambda: math.inf if life is None else life.time_left):
            _logger.info("%s listens at %s", "it" if life is None else life.name, self.target)
            with running:
                yield
            if failures:
                raise failures[0]

    async def _start(self, server: grpc.aio.Server, calls: Calls, health: Health | None) -> None:
        try:
            await self._declared.add_servicers(server, health)
            # It listens from the first moment on: who connects is not to wait for anything else.
            with anyio.CancelScope(shield=True):
                await self._address.listen(server, self._credentials)
                with untraced():
                    await server.start()
        except BaseException:
            calls.refuse()
            await let_go(server)
            raise


def _require_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        message = (
            "grpc.aio runs on asyncio and uvloop, and not on trio: use `sync_server`, "
            "or `lifecycle.run(…, backend=…)`"
        )
        raise RuntimeError(message) from None
