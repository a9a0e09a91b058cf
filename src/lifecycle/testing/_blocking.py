"""Seeing that a hook blocks the event loop, and where."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

import attrs

from lifecycle.instruments import HookCall, Instrument
from lifecycle.testing._steps import Step, Stepped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

_LOOKS: Final = 4
"""How often a hook is seen in the same step before it is said to block: the machine may be slow."""


@attrs.frozen
class Blocking:
    """A hook that ran for too long without giving way."""

    component: str
    hook: str
    stack: str
    """Where it was, as a traceback."""


class Lookout(Instrument):
    """Watches, from a thread, for how long the hooks keep the event loop to themselves."""

    def __init__(self, limit: float) -> None:
        """Watch nothing yet.

        Args:
            limit: for how many real seconds a hook may run without awaiting.

        """
        self.found: list[Blocking] = []
        self._limit = limit
        self._running: dict[Stepped, tuple[HookCall, int]] = {}
        self._over = threading.Event()

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Watch a hook that runs on the loop."""
        if call.in_thread is not None:
            return await proceed()
        stepped = Stepped(proceed(), _look_on)
        self._running[stepped] = call, threading.get_ident()
        try:
            return await stepped
        finally:
            del self._running[stepped]

    @contextlib.contextmanager
    def watching(self) -> Generator[None]:
        """Watch meanwhile."""
        thread = threading.Thread(target=self._watch, name="lifecycle.testing: lookout")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        looks: dict[tuple[Stepped, float], int] = {}
        while not self._over.wait(self._limit / _LOOKS):
            now = time.monotonic()
            for stepped, (call, ident) in list(self._running.items()):
                since = stepped.since
                if since is None or now - since < self._limit:
                    continue
                seen = looks[stepped, since] = looks.get((stepped, since), 0) + 1
                frame = sys._current_frames().get(ident)  # noqa: SLF001  documented  # pyright: ignore[reportPrivateUsage]
                if seen == _LOOKS and frame is not None and stepped.since == since:
                    stack = "".join(traceback.format_stack(frame)[-3:])
                    self.found.append(Blocking(call.component, call.hook, stack.rstrip()))


def _look_on(step: Step) -> None:
    del step
