"""A thread for whatever may block: the end of a span may export it, and a flush always does."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("lifecycle.integrations.opentelemetry")


class Sender:
    """Makes one call after the other, in a thread that begins with the first.

    The thread is a daemon: when a call is stuck, in front of a collector that does not answer, it
    keeps neither the event loop nor the interpreter from ending.
    """

    def __init__(self) -> None:
        """There is nothing to do yet."""
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def post(self, job: Callable[[], object]) -> None:
        """Have something called, after what was posted before."""
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="lifecycle opentelemetry", daemon=True
            )
            self._thread.start()

    async def is_done(self, within: float) -> bool:
        """Wait until everything was called that was posted before.

        Args:
            within: for how many seconds, at most.

        Returns:
            Whether it was.

        """
        done = threading.Event()
        self.post(done.set)
        with anyio.move_on_after(within):
            # Bounded in itself too, since what waits in this thread keeps the interpreter.
            await anyio.to_thread.run_sync(done.wait, within, abandon_on_cancel=True)
        return done.is_set()

    def end(self) -> None:
        """Let the thread end once it has nothing more to do."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # whatever an exporter raises, the next one may work
                _logger.exception("a span could not be sent")
            del job
