"""gRPC servers as components, and what ``grpc.health.v1`` says of a system.

::

    @shop.build(drain_timeout=20)
    def api(orders: Orders = requires(orders)) -> Server:
        return server(
            lambda server: add_OrdersServicer_to_server(orders, server), address=":50051"
        )

    lifecycle.run(shop, companions=[health_server(":50052")])

:func:`server` is one of ``grpc.aio``, for asyncio and uvloop; :func:`sync_server` has threads, and
runs on every event loop. Either is ready when it serves. Asked to drain, it answers new calls with
``UNAVAILABLE``, and finishes those that it has; then it lets go of its port. :func:`health_server`
answers nothing but ``grpc.health.v1``, from before the first component starts until after the last
one has stopped. None of them touches signals.
"""

from __future__ import annotations

try:
    from lifecycle.integrations.grpc._health_server import HealthServer, health_server
    from lifecycle.integrations.grpc._server import Server, server
    from lifecycle.integrations.grpc._sync_server import SyncServer, sync_server
except ImportError as error:
    if (error.name or "").partition(".")[0] not in ("google", "grpc", "grpc_health"):
        raise
    message = (
        "grpcio and grpcio-health-checking are not both installed: "
        "pip install 'anyio-lifecycle[grpc]'"
    )
    raise ImportError(message, name=error.name) from error

__all__ = ["HealthServer", "Server", "SyncServer", "health_server", "server", "sync_server"]
