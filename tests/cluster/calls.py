"""gRPC calls: unary ones on new and on kept channels, long ones, and streams.

What counts: a call whose status is OK is **answered**, any other is a **failure**. A stream that
the server ends with OK is opened again by its client: that is no failure.

The channels are as they come: no retry policy is set for them, so that they send a call again by
themselves only where no server can have handled it (RFC 9113, section 8.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from tests.cluster.exchange import BrokenError
from tests.cluster.load import Counts

if TYPE_CHECKING:
    from tests.cluster.service import Service

# Each channel has connections of its own, as each client in a process of its own has.
OWN_CONNECTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)


class Calls:
    """Unary calls."""

    def __init__(
        self, service: Service, method: str, *, keeps: int = 0, timeout: float = 10
    ) -> None:
        """Call nothing yet.

        Args:
            service: where to.
            method: what is called.
            keeps: how many channels are kept; 0: each call has a new one.
            timeout: how long a call may take, in seconds.

        """
        self.counts = Counts()
        self._target = f"127.0.0.1:{service.port}"
        self._method = method
        self._timeout = timeout
        self._kept = [connected(service) for _ in range(keeps)]
        self._next = 0

    async def send(self) -> None:
        """Call once, and count what becomes of it."""
        self.counts.sent += 1
        if self._kept:
            self._next += 1
            await self._call(self._kept[self._next % len(self._kept)])
            return
        async with grpc.aio.insecure_channel(self._target, options=OWN_CONNECTIONS) as channel:
            await self._call(channel)

    async def close(self) -> None:
        """Close what is kept."""
        for channel in self._kept:
            await channel.close()

    async def _call(self, channel: grpc.aio.Channel) -> None:
        try:
            call: Any = channel.unary_unary(self._method)
            await call(b"", timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            self.counts.failures.append(words(error))
        else:
            self.counts.answered += 1


class Ticks:
    """A stream from the server."""

    def __init__(self, service: Service, method: str, counts: Counts) -> None:
        """Follow none yet."""
        self.counts = counts
        self._service = service
        self._method = method

    async def follow(self) -> None:
        """Read what there is until the server has ended it."""
        async with connected(self._service) as channel:
            call: Any = channel.unary_stream(self._method)
            try:
                async for _ in call(b""):
                    pass
            except grpc.aio.AioRpcError as error:
                raise BrokenError(words(error), heard=True) from error


def connected(service: Service) -> grpc.aio.Channel:
    """Make a channel."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options=OWN_CONNECTIONS)


def words(error: grpc.aio.AioRpcError) -> str:
    """Say what a call has ended with."""
    return f"{error.code().name}: {error.details()}"
