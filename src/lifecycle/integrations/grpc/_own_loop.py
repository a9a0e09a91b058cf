"""A server of ``grpc.aio`` whose own tasks asyncio's teardown does not reach.

It would cancel them like all others. But the next call is written by gRPC into memory that belongs
to the task that waits for it: cancelled, that gives it back too early, and the process dies of it,
sooner or later. So they are ended by the stop of their server alone, which its component sees to.
The tasks of calls are cancelled as everybody's are.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_OWN: Final = ("_server_main_loop", "_request_call", "_request_registered_call")
"""What runs in tasks that are the server's own: whatever takes calls."""


def server_of_own_tasks(**arguments: Any) -> grpc.aio.Server:
    """Make a server on this event loop; its own tasks are not among ``asyncio.all_tasks()``."""
    loop = asyncio.get_running_loop()
    grpc.aio.init_grpc_aio()  # it knows the loop itself from here on, and is given the other below
    try:
        own: Any = _OwnLoop(loop)
        asyncio._set_running_loop(own)  # noqa: SLF001  gRPC asks which one runs, and takes no other
        try:
            return grpc.aio.server(**arguments)
        finally:
            asyncio._set_running_loop(loop)  # noqa: SLF001  as above
    finally:
        grpc.aio.shutdown_grpc_aio()


class _OwnLoop:
    """An event loop, as one server sees it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._loop

    def __hash__(self) -> int:
        return hash(self._loop)

    def create_task(self, run: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        """Start a task; one of the server's own is kept from whoever looks for all of them."""
        task = self._loop.create_task(run, **options)
        if getattr(run, "__name__", None) in _OWN:
            asyncio._unregister_task(task)  # noqa: SLF001  documented, for who extends asyncio
        return task

    def call_soon_threadsafe(self, call: Callable[..., object], *args: Any) -> None:
        """Call something on the loop; at once, where gRPC does so from there for what has come."""
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001  it raises nothing in threads
            call(*args)
        else:
            self._loop.call_soon_threadsafe(call, *args)
