"""One run of a synchronous server."""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from lifecycle.integrations._threads import outlasted

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import grpc

    from lifecycle.integrations.grpc._calls import Calls
    from lifecycle.integrations.grpc._health import Health

_YEAR: Final = 365 * 24 * 3600.0
"""As long as it takes, in seconds: how long that may be is decided elsewhere."""
_ABORT: Final = 1.0
"""How long gRPC is waited for when all calls were aborted, in seconds."""

_logger = logging.getLogger(__name__)


class SyncServing:
    """A server that is ended in good order. All that may block is done in threads."""

    def __init__(self, server: grpc.Server, calls: Calls, health: Health | None) -> None:
        """Serve.

        Args:
            server: what serves.
            calls: those that it handles.
            health: what its health service says.

        """
        self.calls = calls
        self._server = server
        self._health = health
        self._limiter = anyio.CapacityLimiter(2)

    @contextlib.asynccontextmanager
    async def living(
        self,
        add_servicers: Callable[[], Awaitable[object]],
        listen: Callable[[], Awaitable[object]],
    ) -> AsyncGenerator[None]:
        """Listen and serve; at the end whatever is left is aborted, and waited for.

        Args:
            add_servicers: called first.
            listen: called then: who connects is not to wait for anything else.

        """
        try:
            try:
                await add_servicers()
                with anyio.CancelScope(shield=True):
                    await listen()
            except BaseException:
                self.calls.refuse()
                raise
            finally:
                # Also where it failed: what has not started keeps its port for ever.
                await outlasted(self._server.start, self._limiter)
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.abort()
                # A thread that goes on whatever happens is not left behind.
                await self.calls.ended()

    async def close(self) -> threading.Event:
        """Let go of the port, and of each connection once its client has read everything.

        Returns:
            What is set when that is done.

        """
        if self._health is not None:
            # Who watches would keep the connection open, for ever.
            self._health.end()
        return await outlasted(functools.partial(self._server.stop, _YEAR), self._limiter)

    async def end(self, time_left: float) -> None:
        """Take no more calls, and wait for the end of all in half of the time that is left."""
        self.calls.refuse()
        closed = await self.close()
        wait = functools.partial(closed.wait, min(time_left / 2, _YEAR))
        if not await anyio.to_thread.run_sync(wait, limiter=self._limiter, abandon_on_cancel=True):
            _logger.warning(
                "half of the time to stop is over: %d calls are aborted, and all connections "
                "dropped",
                len(self.calls),
            )

    async def abort(self) -> None:
        """Abort all calls, and drop all connections; the threads of calls go on."""
        await outlasted(lambda: self._server.stop(0).wait(_ABORT), self._limiter)
