"""Waiting at a gate in a thread.

Everything but the wait itself happens on the event loop: its timeout, too, since all time goes
through the loop; and so instruments can tell, to the moment, a thread that works from one that
waits.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle._engine.engine import Engine
    from lifecycle._engine.loop import Alarm


class WaitInThread:
    """One wait of one thread. Made in that thread."""

    def __init__(self, engine: Engine, component: int, timeout: float | None) -> None:
        """Prepare to wait until it is decided whether a component becomes ready."""
        self._engine = engine
        self._component = component
        self._timeout = timeout
        self._waiter = engine.gates.waiter_in_thread()
        self._context = contextvars.copy_context()
        self._waiting = contextlib.ExitStack()
        self._alarm: Alarm | None = None
        self.over = threading.Event()
        """Set when it is decided, or the timeout has passed."""
        self.refused: Exception | None = None
        """Why it may not wait; or what an instrument raised. Raised in the thread that waits."""

    def begin(self) -> None:
        """Wait from now on. On the loop."""
        engine = self._engine
        try:
            self._context.run(self._waiting.enter_context, engine.instruments.waiting())
        except Exception as error:  # noqa: BLE001  the user's own
            self.refused = error
            self.over.set()
            return
        if self._timeout is not None:
            self._alarm = engine.keeper.at(engine.loop.now() + self._timeout, self._end)
        try:
            engine.gates.when_decided(self._component, self._end, self._waiter)
        except Exception as error:  # noqa: BLE001  likewise
            self.refused = error
            self._end()

    def _end(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._engine.gates.forget(self._component, self._end, self._waiter)
        try:
            self._context.run(self._waiting.close)
        except Exception as error:  # noqa: BLE001  the user's own
            self.refused = self.refused or error
        finally:
            self.over.set()
