"""Finding what a life leaves behind: tasks, threads, async generators that never ended."""

from __future__ import annotations

import re
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import CodeType

_TURNS: Final = 5
"""How many turns of the loop what was told to end has to do so."""
_PATIENCE: Final = 4.0
"""For how many real seconds a thread that was told to end is waited for."""
_KEPT: Final = re.compile(
    r"(AnyIO worker|Trio thread|asyncio_|ThreadPoolExecutor).*|.*\(_poll_wrapper\)"  # gRPC's own
)
"""Threads of pools that the event loop keeps for the next one."""


class Leftovers:
    """What is there after a life that was not there before."""

    def __init__(self) -> None:
        """Look at what is there now. On the loop."""
        self._tasks = {task.id for task in anyio.get_running_tasks()}
        self._threads = set(threading.enumerate())
        self._generators: list[weakref.ref[AsyncGenerator[Any, Any]]] = []
        self._hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._begun, finalizer=self._dropped)
        self._unfinished: list[str] = []

    async def found(self) -> list[str]:
        """Say what is left, each in a few words."""
        for _ in range(_TURNS):
            await anyio.lowlevel.checkpoint()
        sys.set_asyncgen_hooks(*self._hooks)
        here = anyio.get_current_task().id
        tasks = [
            f"the task {task.name!r}"
            for task in anyio.get_running_tasks()
            if task.id not in self._tasks and task.id != here
        ]
        return [*tasks, *self._threads_left(), *self._generators_left()]

    def _threads_left(self) -> list[str]:
        left: list[str] = []
        for thread in threading.enumerate():
            if thread in self._threads or _KEPT.fullmatch(thread.name):
                continue
            thread.join(_PATIENCE)
            if thread.is_alive():
                left.append(f"the thread {thread.name!r}")
        return left

    def _generators_left(self) -> list[str]:
        alive = [generator() for generator in self._generators]
        unfinished = [g for g in alive if g is not None and getattr(g, "ag_frame", None)]
        return [*self._unfinished, *map(_described, unfinished)]

    def _begun(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators.append(weakref.ref(generator))
        _call(self._hooks.firstiter, generator)

    def _dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._unfinished.append(_described(generator))
        _call(self._hooks.finalizer, generator)


def _call(hook: Callable[[Any], object] | None, generator: object) -> None:
    if hook is not None:
        hook(generator)


def _described(generator: AsyncGenerator[Any, Any]) -> str:
    known: Any = generator  # type checkers do not know what generators of functions have
    code: CodeType = known.ag_code
    return f"the async generator {code.co_name!r} ({code.co_filename}:{code.co_firstlineno})"
