"""The thread that ends the process when it outlives its grace period.

Nothing else can: a blocked event loop runs no timer, and a stuck thread keeps the interpreter from
exiting. It is the one part of the engine that lives by the real clock.
"""

from __future__ import annotations

import contextlib
import faulthandler
import queue
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


_TO_SAY_WHY = 2.0
"""How long it may take to say why (1 s at most), to flush what was written (0.5 s), and to end the
process, in seconds, before that is done by force, and with another exit code."""


class Watchdog:
    """Armed when a shutdown begins; ends the process unless it is disarmed in time."""

    def __init__(
        self,
        *,
        code: Callable[[], int],
        say_why: Callable[[], object],
        end: Callable[[int], object],
        enabled: bool,
    ) -> None:
        """Prepare it.

        Args:
            code: the exit code that there would have been.
            say_why: tells a person; takes a bounded time, whatever is stuck.
            end: ends the process, with an exit code, and all that it has started.
            enabled: whether it ever ends the process by itself; it does so when told, in any case.

        """
        self._code = code
        self._say_why = say_why
        self._end = end
        self._enabled = enabled
        self._orders: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()

    def start(self) -> None:
        """Start the thread. It waits; a handler only has to tell it, and need not start one."""
        threading.Thread(target=self._run, name="lifecycle: watchdog", daemon=True).start()

    def arm(self, left: float, margin: float) -> None:
        """End the process in `left` seconds, less half the margin that is kept for that.

        From any thread, and from signal handlers. An earlier end stays what it is, that by force,
        too. Only where this thread cannot act is it ended by force: as much later as it would have
        been earlier, so that a machine with much else to do is not taken for that.
        """
        if self._enabled:
            now = time.monotonic()
            self._orders.put(("arm", now + left - margin / 2))
            self._orders.put(("back up", now + left + margin / 2))

    def disarm(self) -> None:
        """The run has ended in time. The thread ends, unless other threads are left.

        Those would keep the interpreter from exiting. Once the main thread has nothing more to do
        the process has until the deadline that it had; while it has, it is none of our business.
        """
        self._orders.put(("disarm", 0.0))

    def end_now(self, code: int) -> None:
        """End the process at once. From signal handlers too."""
        self._orders.put(("end", code))

    def _run(self) -> None:
        deadline: float | None = None
        by_force: float | None = None
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                order, number = self._orders.get(timeout=left)
            except queue.Empty:
                self._expire()
                return
            if order == "arm":
                deadline = number if deadline is None else min(number, deadline)
            elif order == "back up":
                if by_force is None or number < by_force:
                    by_force = number
                    _back_up(number - time.monotonic())
            elif order == "end":
                self._end(int(number))
            else:
                if by_force is not None:  # any other is somebody else's
                    with contextlib.suppress(Exception):
                        faulthandler.cancel_dump_traceback_later()
                if deadline is not None and _others_are_left():
                    self._see_to_the_exit(deadline)
                return

    def _see_to_the_exit(self, deadline: float) -> None:
        """End the process at the deadline, if all that keeps it alive is a thread that is stuck."""
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                order, number = self._orders.get(timeout=left)
                if order == "end":
                    self._end(int(number))
        if _main_thread_is_over():
            self._expire()

    def _expire(self) -> None:
        _back_up(_TO_SAY_WHY)  # this thread runs: the exit code can be the right one
        self._say_why()
        self._end(self._code())


def _others_are_left() -> bool:
    """Whether there are threads that the interpreter waits for when it exits."""
    main = threading.main_thread()
    return any(not thread.daemon and thread is not main for thread in threading.enumerate())


def _main_thread_is_over() -> bool:
    """Whether the interpreter exits, and only waits for other threads."""
    main = threading.main_thread()
    if not main.is_alive():
        return True
    frame = sys._current_frames().get(main.ident or 0)  # noqa: SLF001  documented  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    # Those of executors are waited for before it counts as ended.
    return frame is not None and frame.f_code.co_name == "_shutdown"


def _back_up(left: float) -> None:
    # Code in C that never gives the interpreter lock back stops even this thread. What faulthandler
    # starts needs no lock; it can only exit with code 1.
    with contextlib.suppress(Exception):  # no real stderr
        # By its descriptor: a file would be flushed first, and stderr may be what is stuck.
        stderr = sys.stderr.fileno()
        faulthandler.dump_traceback_later(max(left, 0.001), exit=True, file=stderr)
