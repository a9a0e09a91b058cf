"""``grpc.health.v1`` on a synchronous server, in threads that nothing else keeps busy."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import grpc
from grpc_health.v1 import health_pb2

from lifecycle.integrations.grpc._calls import HEALTH
from lifecycle.integrations.grpc._health import response, unknown
from lifecycle.integrations.grpc._refusals import SHUTTING_DOWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from anyio.from_thread import BlockingPortal

    from lifecycle.integrations.grpc._health import Health

    Send = Callable[[health_pb2.HealthCheckResponse | None], object]

_AT_ONCE = 4
"""How many of those who watch are told at the same time."""


def handlers(
    health: Health, portal: BlockingPortal, threads: ThreadPoolExecutor
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Make what handles its calls, by the method."""
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    def check(
        request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        serves = portal.call(health.check, request.service)
        if serves is None:
            context.abort(grpc.StatusCode.NOT_FOUND, unknown(request.service))
        return response(serves)

    async def tell(service: str, context: grpc.ServicerContext, send: Send) -> None:
        async with contextlib.aclosing(health.watch(service)) as told:
            async for serves in told:
                await anyio.to_thread.run_sync(send, response(serves), limiter=limiter)
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        context.set_details(SHUTTING_DOWN)
        await anyio.to_thread.run_sync(send, None, limiter=limiter)

    def watch(
        request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext, send: Send
    ) -> None:
        telling = portal.start_task_soon(tell, request.service, context, send)

        def gone() -> None:
            telling.cancel()

        if not context.add_callback(gone):
            gone()

    # gRPC looks for these. Those who watch take up no thread.
    checking: Any = check
    watching: Any = watch
    checking.experimental_thread_pool = watching.experimental_thread_pool = threads
    watching.experimental_non_blocking = True
    coding: Any = {
        "request_deserializer": health_pb2.HealthCheckRequest.FromString,
        "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
    }
    return {
        f"{HEALTH}Check": grpc.unary_unary_rpc_method_handler(checking, **coding),
        f"{HEALTH}Watch": grpc.unary_stream_rpc_method_handler(watching, **coding),
    }
