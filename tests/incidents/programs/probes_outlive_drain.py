"""A server with one slow call, and probes beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.abc import SocketAttribute

import lifecycle
from lifecycle import Lifetime, Registry, Settings
from lifecycle.probes import ProbeServer
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

BACKEND: Any = sys.argv[1]
DRAIN_DELAY = 0.25
END_OF_CALL = Path(sys.argv[2])
"""A FIFO, which is written to when the call is to end: after 30 s in the incident."""

shop = Registry("shop")
probes = ProbeServer("127.0.0.1:0")


@shop.component
async def database() -> AsyncIterator[None]:
    """Takes a moment to close, behind the server."""
    yield
    await anyio.sleep(0.25)
    say("database closed")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer slowly."""
    say("call begins")
    await anyio.to_thread.run_sync(END_OF_CALL.read_bytes)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the result"})
    say("call ends")


if BACKEND == "trio":  # uvicorn does not run there

    @shop.service(after=[database])
    async def web(life: Lifetime) -> None:
        """Serve one call."""

        async def call(stream: SocketStream) -> None:
            async with stream:
                with life.hold("call"):
                    await stream.receive()
                    say("call begins")
                    await anyio.to_thread.run_sync(END_OF_CALL.read_bytes)
                    await stream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe result")
                    say("call ends")

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        accepting = anyio.CancelScope()

        async def accept() -> None:
            with accepting:
                await listener.serve(call, calls)

        async with listener, anyio.create_task_group() as calls:
            calls.start_soon(accept)
            say("web", listener.extra(SocketAttribute.local_port))  # noqa: S610  this is no Django
            life.started()
            await life.wait_draining()
            accepting.cancel()

else:
    from lifecycle.integrations import uvicorn

    server = uvicorn.server(app, port=0, lifespan="off")
    shop.add(server, name="web", after=[database])

    @shop.service(after=["web"])
    async def tell(life: Lifetime) -> None:
        """Say where it listens."""
        say("web", server.port)
        life.started()
        await life.wait_draining()


@shop.service(after=["web"])
async def ready(life: Lifetime) -> None:
    """Say where the probes are answered."""
    say("probes", probes.port)
    life.started()
    await life.wait_draining()


lifecycle.run(
    shop,
    Settings(drain_delay=DRAIN_DELAY, grace_period=60),
    backend=BACKEND,
    companions=[probes],
)
say("run returned")
