"""A server of nothing but ``grpc.health.v1``, as a companion."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Final

import grpc

from lifecycle.integrations._threads import thread_pool
from lifecycle.integrations.grpc import _sync_health
from lifecycle.integrations.grpc._address import Address
from lifecycle.integrations.grpc._calls import HEALTH, Calls
from lifecycle.integrations.grpc._declared import channel_arguments
from lifecycle.integrations.grpc._health import Health
from lifecycle.integrations.grpc._portal import open_portal
from lifecycle.integrations.grpc._sync_serving import SyncServing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from contextlib import AbstractAsyncContextManager

    from lifecycle import System

_THREADS: Final = 4
_LINGER: Final = 0.2
"""How long clients have at the end to read the last word, in seconds."""


def health_server(
    address: str,
    *,
    credentials: grpc.ServerCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
) -> HealthServer:
    """Make a companion that answers ``grpc.health.v1``, for ``lifecycle.run(…, companions=[…])``.

    It is there before the first preflight check, and until after the last component has stopped, on
    every event loop. That of :func:`server` is there only while that component is.

    Args:
        address: where to listen: ``"HOST:PORT"``, ``":PORT"`` for every interface, or
            ``"unix:PATH"``; port 0: at a free one, which is then :attr:`HealthServer.port`.
        credentials: TLS, by ``grpc.ssl_server_credentials(…)``; by default there is none.
        options: channel arguments of gRPC.

    Raises:
        SettingsError: `address` is none.

    """
    return HealthServer(address, credentials, options)


class HealthServer:
    """A companion: it is given the system, and returns an async context manager."""

    name = "grpc health"
    """What it is called in events and reports."""

    def __init__(
        self,
        address: str,
        credentials: grpc.ServerCredentials | None,
        options: Sequence[tuple[str, Any]],
    ) -> None:
        """Made by :func:`health_server`."""
        self._address = Address(address)
        self._credentials = credentials
        self._options = options

    @property
    def port(self) -> int:
        """The port; where it was 0, the one that was found, once it listens. 0: it has none."""
        return self._address.port

    @property
    def target(self) -> str:
        """What a client on this machine connects to: ``grpc.insecure_channel(server.target)``."""
        return self._address.target

    def __call__(self, system: System) -> AbstractAsyncContextManager[None]:
        """Accompany a system."""
        return self._living(system)

    @contextlib.asynccontextmanager
    async def _living(self, system: System) -> AsyncGenerator[None]:
        health = Health(system)
        async with (
            health.following(),
            open_portal() as portal,
            thread_pool(_THREADS, "lifecycle grpc health") as threads,
        ):
            server = grpc.server(threads, options=channel_arguments(self._options))
            serving = SyncServing(server, Calls(None, None), health)

            async def add_servicer() -> None:
                handlers = _sync_health.handlers(health, portal, threads)
                by_name = {method.removeprefix(HEALTH): one for method, one in handlers.items()}
                service = grpc.method_handlers_generic_handler(HEALTH.strip("/"), by_name)
                server.add_generic_rpc_handlers((service,))

            listen = functools.partial(self._address.listen, server, self._credentials)
            async with serving.living(add_servicer, listen):
                try:
                    yield
                finally:
                    await serving.end(2 * _LINGER)

    def __repr__(self) -> str:
        return f"<grpc.HealthServer at {self.target}>"
