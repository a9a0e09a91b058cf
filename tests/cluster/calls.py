"""gRPC calls: unary ones on new and on kept channels, long ones, and streams.

What counts: a call whose status is OK is **answered**, any other is a **failure**. A stream that
the server ends with OK is opened again by its client: that is no failure.

Channels as they come have no retry policy: they send a call again by themselves only where no
server can have handled it (RFC 9113, section 8.7). With :data:`RETRYING` they do it for
``UNAVAILABLE``, which is what that code is for, and for ``CANCELLED``, which gRPC's servers say
where a call arrives in the very moment in which they let go.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import grpc
import grpc.aio

from tests.cluster.exchange import BrokenError
from tests.cluster.load import Counts

if TYPE_CHECKING:
    from tests.cluster.service import Service

Options: TypeAlias = Sequence[tuple[str, "str | int"]]

# Each channel has connections of its own, as each client in a process of its own has.
AS_THEY_COME: Final[Options] = (("grpc.use_local_subchannel_pool", 1),)
_POLICY: Final = {
    "maxAttempts": 5,
    "initialBackoff": "0.2s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}
RETRYING: Final[Options] = (
    *AS_THEY_COME,
    ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": _POLICY}]})),
)


class Calls:
    """Unary calls."""

    def __init__(
        self,
        service: Service,
        method: str,
        *,
        keeps: int = 0,
        timeout: float = 60,
        options: Options = AS_THEY_COME,
    ) -> None:
        """Call nothing yet.

        Args:
            service: where to.
            method: what is called.
            keeps: how many channels are kept; 0: each call has a new one.
            timeout: how long a call may take, in seconds.
            options: those of the channels.

        """
        self.counts = Counts()
        self._service = service
        self._options = options
        self._method = method
        self._timeout = timeout
        self._kept = [connected(service, options) for _ in range(keeps)]
        self._next = 0

    async def send(self) -> None:
        """Call once, and count what becomes of it."""
        self.counts.sent += 1
        if self._kept:
            self._next += 1
            await self._call(self._kept[self._next % len(self._kept)])
            return
        async with connected(self._service, self._options) as channel:
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
    """A stream from the server, on a channel that is kept."""

    def __init__(
        self, service: Service, method: str, counts: Counts, options: Options = AS_THEY_COME
    ) -> None:
        """Follow none yet."""
        self.counts = counts
        self._channel = connected(service, options)
        self._method = method

    async def follow(self) -> None:
        """Read what there is until the server has ended it."""
        call: Any = self._channel.unary_stream(self._method)
        try:
            async for _ in call(b""):
                pass
        except grpc.aio.AioRpcError as error:
            raise BrokenError(words(error), heard=True) from error

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def connected(service: Service, options: Options) -> grpc.aio.Channel:
    """Make a channel."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options=options)


def words(error: grpc.aio.AioRpcError) -> str:
    """Say what a call has ended with."""
    return f"{error.code().name}: {error.details()}"
