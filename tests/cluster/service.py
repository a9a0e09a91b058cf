"""How connections find a pod: those who route learn that one has gone later than it does itself.

A :class:`Service` is an address of its own, and works like the packet rules of kube-proxy: it
chooses a pod for each *connection*, when that is made, and never asks again. A connection that was
made stays with its pod for as long as both keep it, in rotation or not. Who is sent to a pod where
nobody listens is refused: nothing here tries another one.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio.abc import SocketAttribute

from tests.listening import handling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from anyio.abc import SocketStream, TaskGroup

_RESET = struct.pack("ii", 1, 0)


class Ports(Protocol):
    """The ports of a pod, by name."""

    def __getitem__(self, name: str, /) -> int: ...


class Pod(Protocol):
    """What has to be known of a pod."""

    @property
    def ports(self) -> Ports: ...

    @property
    def is_ready(self) -> bool: ...


class Service:
    """An address, and the pods behind it."""

    def __init__(self, tasks: TaskGroup, port_name: str, lag: float) -> None:
        """Begin without pods.

        Args:
            tasks: where the news travels.
            port_name: the port of the pods that connections go to.
            lag: how much later it is known here that a pod is to get no more connections.

        """
        self.port = 0
        self.refused = 0
        """How many connections were sent to where nobody listened."""
        self._tasks = tasks
        self._port_name = port_name
        self._lag = lag
        self._ports: list[int] = []
        self._next = 0
        self._changed = anyio.Event()

    def follow(self, pod: Pod) -> None:
        """Learn of a pod: at once that it is ready, and late that it is not."""
        port = pod.ports[self._port_name]
        if not pod.is_ready:
            self._tasks.start_soon(self._remove, pod, port)
        elif port not in self._ports:
            self._ports.append(port)
            self._tell()

    async def _remove(self, pod: Pod, port: int) -> None:
        await anyio.sleep(self._lag)  # the lag itself: nothing is waited for
        if not pod.is_ready and port in self._ports:
            self._ports.remove(port)
            self._tell()

    async def wait_left(self, pod: Pod) -> None:
        """Wait until no more connections go to a pod."""
        while pod.ports[self._port_name] in self._ports:
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def choose(self, tried: Collection[int] = ()) -> int | None:
        """Give the port of the pod whose turn it is, of those in rotation that were not tried."""
        ports = [port for port in self._ports if port not in tried]
        if not ports:
            return None
        self._next += 1
        return ports[self._next % len(ports)]

    async def handle(self, client: SocketStream) -> None:
        """Bring a connection to a pod, and pass on what both say, the way in which they end too."""
        port = self.choose()
        try:
            pod = None if port is None else await anyio.connect_tcp("127.0.0.1", port)
        except OSError:
            pod = None
        if pod is None:
            self.refused += 1
            _reset(client)
            await client.aclose()
            return
        async with client, pod, anyio.create_task_group() as tasks:
            tasks.start_soon(_pass_on, client, pod, tasks.cancel_scope)
            tasks.start_soon(_pass_on, pod, client, tasks.cancel_scope)


async def _pass_on(source: SocketStream, target: SocketStream, both: anyio.CancelScope) -> None:
    try:
        async for data in source:
            await target.send(data)
        await target.send_eof()
    except _BROKEN:
        # Said to both, or who is left would wait for ever.
        _reset(source)
        _reset(target)
        both.cancel()


_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


def _reset(stream: SocketStream) -> None:
    """Let the close of a connection be a reset, and no polite end."""
    with contextlib.suppress(OSError):
        raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610  no Django
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


@contextlib.asynccontextmanager
async def serving(port_name: str, lag: float) -> AsyncGenerator[Service]:
    """Give a service, at a port that is free."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with anyio.create_task_group() as news:
        service = Service(news, port_name, lag)
        service.port = listener.extra(SocketAttribute.local_port)  # noqa: S610  no Django
        async with handling(listener, service.handle):
            try:
                yield service
            finally:
                news.cancel_scope.cancel()
