"""A worker of Temporal's, whose connection is a tunnel: a sidecar, say, that ends with the pod.

By hand: what is registered to be closed is closed in the order in which somebody wrote it down. By
lifecycle: in the order that follows from who needs whom.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import temporalio.worker
from temporalio import activity
from temporalio.client import Client

import lifecycle
from lifecycle import Lifetime, Registry, Settings, requires
from lifecycle.integrations.temporal import Worker, client, worker
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
HOST, _, PORT = sys.argv[2].rpartition(":")

ending = asyncio.Event()


@activity.defn
async def charge(order: int) -> str:
    """Take a moment longer than the process is told to end."""
    say("activity", order)
    await ending.wait()
    await anyio.sleep(0.3)
    return f"charged {order}"


@contextlib.asynccontextmanager
async def tunnel() -> AsyncIterator[str]:
    """Give an address that leads to Temporal, as long as it is entered."""

    async def pump(source: anyio.abc.ByteStream, sink: anyio.abc.ByteStream) -> None:
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in source:
                await sink.send(data)
            await sink.aclose()

    async def forward(near: anyio.abc.ByteStream) -> None:
        far = await anyio.connect_tcp(HOST, int(PORT))
        async with near, far, anyio.create_task_group() as both:
            both.start_soon(pump, near, far)
            both.start_soon(pump, far, near)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, forward)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  not Django's
        yield f"127.0.0.1:{port}"
        tasks.cancel_scope.cancel()
    await listener.aclose()
    say("connection closed")


async def by_hand() -> None:
    """Close first what was opened first."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    connection = tunnel()
    temporal = await Client.connect(await connection.__aenter__())
    polling = temporalio.worker.Worker(
        temporal,
        task_queue="charges",
        activities=[charge],
        graceful_shutdown_timeout=timedelta(seconds=20),
    )
    polls = asyncio.create_task(polling.run())
    await ending.wait()
    await connection.__aexit__(None, None, None)
    await polling.shutdown()
    await polls
    say("worker ended")


shop = Registry("shop")
connection = shop.add(tunnel(), name="connection")


@shop.build
def temporal(address: str = requires(connection)) -> contextlib.AbstractAsyncContextManager[Client]:
    """Connect."""
    return client(address)


@shop.build(drain_timeout=20)
def charges(client: Client = requires(temporal)) -> Worker:
    """Run activities."""
    return worker(client, task_queue="charges", activities=[charge])


@shop.service
async def notices(life: Lifetime) -> None:
    """Let the activities go on when it all ends."""
    life.started()
    await life.system.wait_draining()
    ending.set()


if BACKEND == "by_hand":
    asyncio.run(by_hand())
else:
    lifecycle.run(shop, Settings(grace_period=30), backend=BACKEND)
    say("run returned")
