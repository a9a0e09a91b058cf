"""The service of orders.py at a port, as gRPC's own example of a graceful shutdown has it."""

from __future__ import annotations

import asyncio
import signal
import sys

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.cluster.programs import orders


async def main() -> None:
    server = grpc.aio.server()
    orders.add(server, is_hosted=False)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    await server.start()
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    await asked.wait()
    await servicer.enter_graceful_shutdown()
    await server.stop(10)


asyncio.run(main())
