"""Systems that serve, and clients that hide nothing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

import lifecycle
from lifecycle import Registry, Report, Settings, System
from lifecycle.errors import RunError
from lifecycle.integrations import grpc as lifecycle_grpc
from tests.edges.grpc.services import GENEROUS, Orders, SyncOrders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from lifecycle.events import Observer

ON_ASYNCIO: dict[str, Any] = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
}
"""Where ``grpc.aio`` runs."""

MEGABYTES = b"x" * 3_000_000

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
"""By default gRPC shares connections between channels of one process."""


# --- systems -------------------------------------------------------------------------------------


def shop_of(
    orders: Orders | SyncOrders, *, address: str = "127.0.0.1:0", **options: Any
) -> tuple[Registry, Any]:
    """Make a system of nothing but a server."""
    make: Any = lifecycle_grpc.server
    if isinstance(orders, SyncOrders):
        make = lifecycle_grpc.sync_server
    shop = Registry("shop")
    server = make(orders.add, address=address, **options)
    shop.add(server, name="web")
    return shop, server


async def run(
    shop: Registry,
    body: Callable[[System], Awaitable[object]] | None = None,
    settings: Settings | None = None,
    observers: Sequence[Observer] = (),
    companions: Sequence[Any] = (),
) -> Report:
    """Run a system, see that it leaves no task, and give the report, also of one that fails."""
    report = None
    before = _tasks()
    with anyio.fail_after(GENEROUS):
        try:
            async with lifecycle.running(
                shop, settings or Settings(), observers=observers, companions=companions
            ) as system:
                if body is not None:
                    await body(system)
                system.shut_down("the test is over")
                report = await system.closed()
        except RunError as error:
            report = error.report
            if report is None:
                raise
    left = {id_: name for id_, name in _tasks().items() if id_ not in before}
    assert not left, left
    return report


def _tasks() -> dict[int, str]:
    return {task.id: f"{task.name}: {task.coro!r}" for task in anyio.get_running_tasks()}


async def in_thread(call: Callable[..., Any], *args: Any) -> Any:
    """Call something that blocks, and leave it behind if the test is over."""
    return await anyio.to_thread.run_sync(functools.partial(call, *args), abandon_on_cancel=True)


# --- clients -------------------------------------------------------------------------------------


def connected(target: str) -> Any:
    """Make a channel of ``grpc.aio``, with a connection of its own."""
    return grpc.aio.insecure_channel(target, options=OWN_CONNECTION)


def sync_connected(target: str) -> Any:
    """Make a synchronous one."""
    return grpc.insecure_channel(target, options=OWN_CONNECTION)


async def refusal_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """Give what a call of ``grpc.aio`` ends with: the code, and the text."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def sync_refusal_of(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """Do the same for a synchronous one."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


async def is_refused(port: int) -> bool:
    """Whether nobody listens at a port."""
    try:
        async with await anyio.connect_tcp("127.0.0.1", port):
            return False
    except OSError:
        return True


class Health:
    """Who asks how a system is, by a new connection each time, as a kubelet does."""

    def __init__(self, target: str) -> None:
        self._target = target

    async def check(self, service: str = "") -> int | grpc.StatusCode:
        """Ask once; a code where that is no answer."""
        return await in_thread(self._check, service)  # type: ignore[no-any-return]

    def _check(self, service: str) -> int | grpc.StatusCode:
        with sync_connected(self._target) as channel:
            try:
                return checking(channel)(request(service), timeout=GENEROUS).status  # type: ignore[no-any-return]
            except grpc.RpcError as error:
                return error.code()

    async def checks(self, *services: str) -> list[int | grpc.StatusCode]:
        """Ask several."""
        return [await self.check(service) for service in services]


class Watch:
    """Who is told how a service is, whenever that changes."""

    def __init__(self, channel: Any, service: str) -> None:
        self._told = watching(channel)(request(service))

    async def next(self) -> Any:
        """Wait for what is said next: how it is; or, at the end, the code and the text."""
        return await in_thread(self._next)

    def _next(self) -> Any:
        try:
            return next(self._told).status
        except grpc.RpcError as error:
            return error.code(), error.details()

    def leave(self) -> None:
        """Listen no longer."""
        self._told.cancel()


def request(service: str) -> health_pb2.HealthCheckRequest:
    """Ask for a service."""
    return health_pb2.HealthCheckRequest(service=service)


def checking(channel: Any) -> Any:
    """Ask once, on a channel."""
    return channel.unary_unary("/grpc.health.v1.Health/Check", **_CODING)


def watching(channel: Any) -> Any:
    """Watch, on a channel."""
    return channel.unary_stream("/grpc.health.v1.Health/Watch", **_CODING)


_CODING = {
    "request_serializer": health_pb2.HealthCheckRequest.SerializeToString,
    "response_deserializer": health_pb2.HealthCheckResponse.FromString,
}
