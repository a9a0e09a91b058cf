"""The way to systemd: datagrams to a unix socket, sent without ever waiting.

A receiver takes in 10 datagrams before it has read the first (``net.unix.max_dgram_qlen``). Those
for which there is no room are kept, at most a few, and sent as soon as there is. No milestone is
ever dropped; of everything else the newest counts.
"""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from lifecycle.integrations.systemd._message import Message

logger = logging.getLogger("lifecycle.systemd")

_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS})


class Channel:
    """Where notifications are sent."""

    def __init__(self, address: str) -> None:
        """Prepare it; `address` is as ``socket.connect`` takes it."""
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003  it has no other form
        self._is_connected = False
        self._waiting: list[Message] = []
        self._is_full = anyio.Event()
        self._is_empty = anyio.Event()
        self._is_empty.set()
        self._has_warned = False

    def send(self, message: Message) -> None:
        """Send a message, or keep it until there is room for it. Neither waits nor raises."""
        if self._waiting and not message.is_milestone:
            self._waiting[-1] = self._waiting[-1].then(message)
        else:
            self._waiting.append(message)
        self._send_waiting()

    async def run(self) -> None:
        """Send what there was no room for, as soon as there is."""
        while True:
            await self._is_full.wait()
            await anyio.wait_writable(self._socket)
            self._send_waiting()

    async def flushed(self) -> None:
        """Return when nothing is waiting to be sent; needs `run`."""
        await self._is_empty.wait()

    def close(self) -> None:
        """Close it; `run` has ended by then."""
        self._socket.close()

    def _send_waiting(self) -> None:
        while self._waiting and self._send(self._waiting[0]):
            del self._waiting[0]
        if self._waiting:
            self._is_full.set()
            if self._is_empty.is_set():
                self._is_empty = anyio.Event()
        else:
            self._is_empty.set()
            if self._is_full.is_set():
                self._is_full = anyio.Event()

    def _send(self, message: Message) -> bool:
        """Send a message; says whether it is done with, because it was sent or cannot be."""
        try:
            if not self._is_connected:
                # Otherwise the kernel would not say when the receiver has room again.
                self._socket.connect(self._address)
                self._is_connected = True
            self._socket.send(message.encode())
        except OSError as error:
            if error.errno in _FULL:
                return False
            self._is_connected = False  # the next message tries anew
            self._warn(error)
        else:
            logger.debug("told systemd: %s", ", ".join(message.assignments()))
        return True

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            place = self._address.replace("\0", "@", 1)
            message = "systemd cannot be told anything: nobody takes it at %s (%s)"
            logger.warning(message, place, error.strerror or error)
