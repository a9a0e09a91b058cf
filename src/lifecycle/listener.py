"""Signals as they arrive, whatever the main thread is stuck in.

Python calls a signal handler in the main thread, between two of its instructions. A call that does
not return to them keeps the handler from being called: a library in C that goes on waiting, a name
server that does not answer, and also a sleep that has begun in the instant after the signal. What
Python writes to a file descriptor for each signal it writes at once; a thread reads that here.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from typing_extensions import Self

from lifecycle import signals
from lifecycle._engine.escalation import DEBOUNCE, END
from lifecycle._engine.loop import give_wakeup_fd_back
from lifecycle.settings import Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from lifecycle.settings import Settings

# What a signal writes belongs to the process. That of a forked child would come to its parent.
_active: list[Listener] = []


class Listener:
    """Hears the signals that the process handles, from when it is entered until it is left.

    It sees only to it that the process ends, and leaves the rest to the handlers, which are called
    as well, or will be. What another handler takes is not listened to. Where another descriptor is
    put in place of this one (asyncio's ``add_signal_handler`` does so), nothing is heard any more.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_asked: Callable[[], object],
        on_last: Callable[[int], object],
    ) -> None:
        """Prepare it.

        Args:
            settings: what each signal asks for.
            on_asked: called in the thread, with each signal that asks for a shutdown.
            on_last: called in the thread, with the number of the third interrupt.

        """
        self._settings = settings
        self._on_asked = on_asked
        self._on_last = on_last
        self._ours, self._pythons = socket.socketpair()
        self._pythons.setblocking(False)  # noqa: FBT003  its only argument
        self._before = -1
        self._others: int | None = None
        self._thread = threading.Thread(target=self._run, name="lifecycle: signals", daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen. To be called in the main thread, as is the end."""
        self._before = signal.set_wakeup_fd(self._pythons.fileno(), warn_on_full_buffer=False)
        if self._before != -1:
            # Whoever reads there is told as before: an event loop, that it has to wake up. By a
            # descriptor of our own: that number may be another's one day.
            with contextlib.suppress(OSError):
                self._others = os.dup(self._before)
        _active.append(self)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Listen no longer."""
        _active.remove(self)
        give_wakeup_fd_back(self._pythons, self._before)
        self._pythons.shutdown(socket.SHUT_WR)  # whoever else has it: a forked child has a copy
        self._thread.join()
        self._pythons.close()
        self._ours.close()
        if self._others is not None:
            os.close(self._others)

    def _run(self) -> None:
        last, interrupts = -math.inf, 0
        while True:
            received = self._ours.recv(1)
            if not received:
                return
            (number,), now = received, time.monotonic()
            self._pass_on(received)
            response = self._settings.signals.get(number, Response.IGNORE)
            if response is Response.IGNORE or not signals.is_taken(number):
                continue
            if response is Response.FAST and now - last >= DEBOUNCE:
                last, interrupts = now, interrupts + 1
                if interrupts == END:
                    self._on_last(number)
            self._on_asked()

    def _pass_on(self, received: bytes) -> None:
        if self._others is not None:
            with contextlib.suppress(OSError):  # it is full: that wakes, too; or nobody is there
                os.write(self._others, received)


def _be_deaf_in_child() -> None:
    if _active:
        with contextlib.suppress(OSError, ValueError):
            signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_be_deaf_in_child)
