"""``grpc.health.v1`` on an asynchronous server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from lifecycle.integrations.grpc._calls import HEALTH
from lifecycle.integrations.grpc._health import response, unknown
from lifecycle.integrations.grpc._refusals import SHUTTING_DOWN, abort

if TYPE_CHECKING:
    from lifecycle.integrations.grpc._health import Health

    Context = grpc.aio.ServicerContext[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]


def handlers(health: Health) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Make what handles its calls, by the method."""

    async def check(
        request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        serves = await health.check(request.service)
        if serves is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, unknown(request.service))
        return response(serves)

    async def watch(request: health_pb2.HealthCheckRequest, context: Context) -> None:
        async with contextlib.aclosing(health.watch(request.service)) as told:
            async for serves in told:
                await context.write(response(serves))
        await abort(context, SHUTTING_DOWN)

    coding: Any = {
        "request_deserializer": health_pb2.HealthCheckRequest.FromString,
        "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
    }
    return {
        f"{HEALTH}Check": grpc.unary_unary_rpc_method_handler(check, **coding),
        f"{HEALTH}Watch": grpc.unary_stream_rpc_method_handler(watch, **coding),
    }
