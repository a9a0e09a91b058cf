"""One run of an asynchronous server, in tasks that nothing cancels but the end of the event loop.

gRPC shares one future among those who wait for its end: whoever is cancelled there takes it away
from all others, unless he waits with a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

import anyio
import grpc.aio

from lifecycle.integrations._beside import beside

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from lifecycle.integrations.grpc._admission import Admission
    from lifecycle.integrations.grpc._calls import Calls
    from lifecycle.integrations.grpc._health import Health

_YEAR: Final = 365 * 24 * 3600.0
"""As long as it takes, in seconds: how long that may be is decided elsewhere."""

_ATTEMPTS: Final = 3
"""How often a server is told to stop that is interrupted in that."""

_logger = logging.getLogger(__name__)


class Serving:
    """A server that has started, until it has ended."""

    def __init__(
        self,
        server: grpc.aio.Server,
        calls: Calls,
        admission: Admission,
        health: Health | None,
        crashed: Callable[[BaseException], object],
    ) -> None:
        """Serve.

        Args:
            server: it has started.
            calls: those that it handles.
            admission: what lets them in.
            health: what its health service says.
            crashed: told why it has ended, where nobody had asked it to.

        """
        self.calls = calls
        self._server = server
        self._admission = admission
        self._health = health
        self._crashed = crashed
        self._closing = anyio.Event()
        self._aborting = anyio.Event()
        self._over = anyio.Event()

    @contextlib.asynccontextmanager
    async def living(self, time_left: Callable[[], float]) -> AsyncGenerator[None]:
        """Serve; at the end every call has ended.

        Args:
            time_left: how many seconds there are to stop, asked when that begins.

        """
        async with beside(self._run, "lifecycle: grpc") as task:
            try:
                try:
                    yield
                finally:
                    if task.forgo():
                        self._over.set()
                    await self._end(time_left())
            finally:
                self._aborting.set()
                with anyio.CancelScope(shield=True):
                    await self._over.wait()
                    try:
                        await let_go(self._server)
                    finally:
                        # A handler that goes on whatever happens is not left behind.
                        await self.calls.ended()
                        await self._admission.ended()

    def close(self) -> None:
        """Let go of the port, and of each connection once its client has read everything."""
        self._closing.set()
        if self._health is not None:
            # Who watches would keep the connection open, for ever.
            self._health.end()

    async def _run(self) -> None:
        try:
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._stop_when, self._closing, _YEAR)
                    tasks.start_soon(self._stop_when, self._aborting, None)
                    await self._wait()
        finally:
            self._over.set()

    async def _stop_when(self, asked: anyio.Event, grace: float | None) -> None:
        await asked.wait()
        await self._server.stop(grace)

    async def _wait(self) -> None:
        error: BaseException | None = None
        try:
            await self._server.wait_for_termination(_YEAR)
        except Exception as raised:  # noqa: BLE001  raised in the task of the component
            error = raised
        self._over.set()
        if not self._closing.is_set() and not self._aborting.is_set():
            self._crashed(error or RuntimeError("gRPC's server has ended by itself"))

    async def _end(self, time_left: float) -> None:
        self.calls.refuse()
        self.close()
        with anyio.move_on_after(time_left / 2):
            await self._over.wait()
            return
        _logger.warning(
            "half of the time to stop is over: %d calls are cut off, and all connections dropped",
            len(self.calls),
        )


async def let_go(server: grpc.aio.Server) -> None:
    """End a server, whatever its state: it keeps its port until it was started and stopped.

    Also where the task is cancelled meanwhile by its own ``cancel``, which pierces shields: that is
    raised when the server has ended. One that is left half way makes gRPC abort the process.
    """
    cancelled: BaseException | None = None
    with anyio.CancelScope(shield=True):
        try:
            await server.start()
        except grpc.aio.UsageError:
            pass  # it was started, and stopped
        except asyncio.CancelledError as error:
            cancelled = error
        for _ in range(_ATTEMPTS):
            try:
                await server.stop(None)
                break
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
