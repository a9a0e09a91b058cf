"""Services that say what happens to them, and go on when they are told to."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GENEROUS = 60.0
"""How long anything is waited for, in seconds: what takes longer on a slow machine is broken."""

KINDS: dict[str, Any] = {
    "unary": grpc.unary_unary_rpc_method_handler,
    "downstream": grpc.unary_stream_rpc_method_handler,
    "upstream": grpc.stream_unary_rpc_method_handler,
    "both": grpc.stream_stream_rpc_method_handler,
}


class DatabaseGoneError(Exception):
    """What a service raises."""


def add_service(
    server: Any, methods: dict[str, tuple[str, Any]], name: str = "shop.Orders"
) -> None:
    """Add a service whose messages are bytes: by the method its kind, and its function."""
    handlers = {method: KINDS[kind](behavior) for method, (kind, behavior) in methods.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))


class Orders:
    """A service that keeps a log, and goes on when it is told to."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.go_on = anyio.Event()
        self.reply = b"slow"
        self._said = anyio.Event()

    def say(self, line: str) -> None:
        """Put a line into the log."""
        self.log.append(line)
        self._said.set()
        self._said = anyio.Event()

    async def has_said(self, *lines: str) -> None:
        """Wait until these lines are in the log, each as often as it is given."""
        while Counter(lines) - Counter(self.log):
            await self._said.wait()

    def add(self, server: grpc.aio.Server) -> None:
        """Add it to a server."""
        methods = {
            "Get": ("unary", self.get),
            "Slow": ("unary", self.slow),
            "Count": ("upstream", self.count),
            "Ticks": ("downstream", self.ticks),
            "Chat": ("both", self.chat),
            "Endless": ("downstream", self.endless),
            "Write": ("downstream", self.write),
        }
        add_service(server, methods)

    async def get(self, request: bytes, context: Any) -> bytes:
        """Answer at once."""
        return b"hello " + request

    async def slow(self, request: bytes, context: Any) -> bytes:
        """Answer when told to."""
        self.say("slow")
        try:
            await self.go_on.wait()
        finally:
            self.say("slow has ended")
        return self.reply

    async def count(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        """Answer when the client has said everything."""
        number = 0
        async for _ in requests:
            self.say("count")
            number += 1
        return b"%d" % number

    async def ticks(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Say something, and the rest when told to."""
        yield b"1"
        self.say("ticks")
        await self.go_on.wait()
        yield b"2"

    async def chat(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Repeat what the client says."""
        async for request in requests:
            self.say("chat")
            yield request

    async def endless(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Say something, and never come to an end."""
        try:
            yield b"1"
            self.say("endless")
            await anyio.sleep_forever()
        finally:
            self.say("endless has ended")

    async def write(self, request: bytes, context: Any) -> None:
        """Do the same by gRPC's other way to answer."""
        await context.write(b"1")
        self.say("write")
        try:
            await anyio.sleep_forever()
        finally:
            self.say("write has ended")


class Noticing(grpc.aio.ServerInterceptor):
    """An interceptor that notes what it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.has_seen = anyio.Event()

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Note the method."""
        self.seen.append(handler_call_details.method)
        self.has_seen.set()
        return await continuation(handler_call_details)


class SyncOrders:
    """The same in threads."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.go_on = threading.Event()
        self.reply = b"slow"
        self._said = threading.Condition()

    def say(self, line: str) -> None:
        """Put a line into the log."""
        with self._said:
            self.log.append(line)
            self._said.notify_all()

    async def has_said(self, *lines: str) -> None:
        """Wait until these lines are in the log, each as often as it is given."""

        def wait() -> None:
            with self._said:
                assert self._said.wait_for(lambda: not Counter(lines) - Counter(self.log), GENEROUS)

        await anyio.to_thread.run_sync(wait, abandon_on_cancel=True)

    def add(self, server: grpc.Server) -> None:
        """Add it to a server."""
        methods = {
            "Get": ("unary", self.get),
            "Slow": ("unary", self.slow),
            "Count": ("upstream", self.count),
            "Ticks": ("downstream", self.ticks),
            "Chat": ("both", self.chat),
            "Endless": ("downstream", self.endless),
        }
        add_service(server, methods)

    def get(self, request: bytes, context: Any) -> bytes:
        """Answer at once."""
        return b"hello " + request

    def slow(self, request: bytes, context: Any) -> bytes:
        """Answer when told to."""
        self.say("slow")
        assert self.go_on.wait(GENEROUS)
        self.say("slow has ended")
        return self.reply

    def count(self, requests: Iterator[bytes], context: Any) -> bytes:
        """Answer when the client has said everything."""
        number = 0
        for _ in requests:
            self.say("count")
            number += 1
        return b"%d" % number

    def ticks(self, request: bytes, context: Any) -> Iterator[bytes]:
        """Say something, and the rest when told to."""
        yield b"1"
        self.say("ticks")
        assert self.go_on.wait(GENEROUS)
        yield b"2"

    def chat(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """Repeat what the client says."""
        for request in requests:
            self.say("chat")
            yield request

    def endless(self, request: bytes, context: Any) -> Iterator[bytes]:
        """Go on until nobody listens."""
        gone = threading.Event()
        context.add_callback(gone.set)
        yield b"1"
        self.say("endless")
        assert gone.wait(GENEROUS)
        self.say("endless has ended")
