"""A listener whose end forgets no connection."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from anyio.abc import SocketListener

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import SocketStream, TaskStatus
    from anyio.streams.stapled import MultiListener

_TURNS = 20
"""More turns of the loop than an accepted connection needs until it is handled."""


@contextlib.asynccontextmanager
async def handling(
    listener: MultiListener[SocketStream], handle: Callable[[SocketStream], Awaitable[object]]
) -> AsyncGenerator[None]:
    """Handle all connections of a listener at one address, each in a task, and close it at the end.

    They are cancelled then. In anyio's own `serve` a connection is left open where it is cancelled
    between the accept of the kernel and the first step of its handler, and on a busy machine there
    is time in between.
    """
    (one,) = listener.listeners
    assert isinstance(one, SocketListener)
    over = anyio.Event()
    accepting = anyio.CancelScope(shield=True)

    async def begin(
        stream: SocketStream, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        async with stream:
            task_status.started()
            await handle(stream)

    async def accept() -> None:
        try:
            with contextlib.suppress(anyio.ClosedResourceError), accepting:
                while True:
                    await tasks.start(begin, await one.accept())
        finally:
            over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(accept)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await one.aclose()
                # Who was between two accepts when it was closed waits for ever (anyio looks for
                # that before a checkpoint, not after it). A connection that was accepted has begun
                # by then.
                for _ in range(_TURNS):
                    await anyio.lowlevel.checkpoint()
                accepting.cancel()
                await over.wait()
            tasks.cancel_scope.cancel()
