"""The time while the user's module is being imported: nothing runs yet, and signals count already.

A signal handler is called between two instructions of the main thread, and an import may be stuck
in a call that never returns to them: a name server that does not answer. So the signals are read in
a thread of their own, from the file descriptor that Python writes them to at once.
"""

from __future__ import annotations

import math
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from lifecycle import ExitCode
from lifecycle.ending import end_process, say_why
from lifecycle.settings import Response

if TYPE_CHECKING:
    from types import TracebackType

    from lifecycle import Settings

# As of a system that runs: an interrupt sooner than that after the one before is the same, and the
# third ends the process.
_DEBOUNCE = 0.1
_LAST = 3

_SPARE = 0.25  # how much earlier than the grace period the process is ended, at most


class Watch:
    """Ends the process when an import goes on for too long after the process was asked to end.

    That is: for the grace period, or until the third interrupt. It acts by itself only between its
    ``__enter__`` and its ``__exit__``; what arrives then is kept by others for the system.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._grace = settings.grace_period - min(_SPARE, settings.grace_period / 20)
        self._ours, self._pythons = socket.socketpair()
        self._pythons.setblocking(False)  # noqa: FBT003  its only argument
        self._before = -1
        self._thread = threading.Thread(target=self._run, name="lifecycle: import", daemon=True)

    def __enter__(self) -> None:
        """Begin to watch."""
        self._before = signal.set_wakeup_fd(self._pythons.fileno(), warn_on_full_buffer=False)
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The import is over."""
        signal.set_wakeup_fd(self._before)
        self._pythons.close()
        self._thread.join()
        self._ours.close()

    def _run(self) -> None:
        deadline: float | None = None
        last, interrupts = -math.inf, 0
        while True:
            left = None if deadline is None else max(0.001, deadline - time.monotonic())
            self._ours.settimeout(left)
            try:
                received = self._ours.recv(1)
            except TimeoutError:
                self._expire()
            if not received:
                return
            (number,), now = received, time.monotonic()
            response = self._settings.signals.get(number, Response.IGNORE)
            if response is Response.FAST and now - last >= _DEBOUNCE:
                last, interrupts = now, interrupts + 1
                if interrupts == _LAST:
                    end_process(128 + number)
            if response is not Response.IGNORE and deadline is None and self._settings.watchdog:
                deadline = now + self._grace

    def _expire(self) -> NoReturn:
        grace_period = self._settings.grace_period
        say_why(
            lambda: (
                f"lifecycle: the grace period of {grace_period:g} s is over, and the module is "
                "still being imported. The process is ended now. All threads:\n"
            )
        )
        end_process(ExitCode.INCOMPLETE)
