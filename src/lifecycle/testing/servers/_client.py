"""A client that hides nothing: one connection, on which one sees every byte."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from anyio.abc import SocketStream

_CLOSE = 8
"""The opcode by which a websocket is closed."""
_MASK = bytes(4)
"""Clients have to mask what they send; a mask of zeros changes nothing."""


class Client:
    """A connection."""

    def __init__(self, stream: SocketStream) -> None:
        """Use a connection."""
        self._stream = stream
        self._unread = b""

    async def ask(self, path: str) -> None:
        """Send a request that keeps the connection open."""
        await self._stream.send(f"GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n".encode())

    async def until(self, end: bytes) -> bytes:
        """Read up to some bytes, and those."""
        while end not in self._unread:
            self._unread += await self._stream.receive()
        read, _, self._unread = self._unread.partition(end)
        return read + end

    async def rest(self) -> bytes:
        """Read until the server closes the connection."""
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                self._unread += await self._stream.receive()
        read, self._unread = self._unread, b""
        return read

    async def get(self, path: str) -> bytes:
        """Ask, and read the answer, whose body says how long it is."""
        await self.ask(path)
        head = await self.until(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + await self._read(length)

    async def open_websocket(self, path: str) -> None:
        """Make a websocket of the connection."""
        head = (
            f"GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: bGlmZWN5Y2xlIHNlcnZlcg==\r\n\r\n"
        )
        await self._stream.send(head.encode())
        await self.until(b"\r\n\r\n")

    async def closing_code(self) -> int | None:
        """Read until the websocket is closed; give the code, None where there was none."""
        while True:
            try:
                head = await self._read(2)
                payload = await self._read(await self._length(head[1]))
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return None
            if head[0] & 15 == _CLOSE:
                with contextlib.suppress(anyio.BrokenResourceError):
                    head = bytes([128 | _CLOSE, 128 | len(payload)])
                    await self._stream.send(head + _MASK + payload)
                return int.from_bytes(payload[:2], "big") if payload else None

    async def _length(self, short: int) -> int:
        size = {126: 2, 127: 8}.get(short & 127)
        return short & 127 if size is None else int.from_bytes(await self._read(size), "big")

    async def _read(self, length: int) -> bytes:
        while len(self._unread) < length:
            self._unread += await self._stream.receive()
        read, self._unread = self._unread[:length], self._unread[length:]
        return read
