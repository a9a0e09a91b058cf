"""What the signals that one system receives add up to."""

from __future__ import annotations

import functools
import math
import signal
from typing import TYPE_CHECKING

from lifecycle.settings import Response
from lifecycle.states import Trigger

if TYPE_CHECKING:
    from lifecycle._engine.engine import Engine

DEBOUNCE = 0.1
"""An interrupt sooner than that after the one before is the same, in seconds: process groups and
terminals deliver duplicates."""

_FORCE = 2
END = 3
"""The interrupt at which the process ends at once."""


class Escalation:
    """A signal may only escalate: graceful, fast, immediate, and then the end of the process."""

    def __init__(self, engine: Engine) -> None:
        """No signal has come."""
        self._engine = engine
        self._interrupts = 0
        self._last = -math.inf

    def signal(self, number: int, at: float | None = None) -> bool:
        """Take a signal; says whether the process is to end at once.

        Runs in signal handlers: it takes no lock and waits for nothing.
        """
        engine = self._engine
        response = engine.settings.signals.get(number, Response.IGNORE)
        if response is Response.IGNORE:
            return False
        at = engine.loop.now() if at is None else at
        if engine.is_over:  # and may still be told, to a stderr that nobody reads
            return response is Response.FAST and self._counts(at) and self._interrupts >= END
        reason = f"received {name_of(number)}"
        request = functools.partial(engine.shutdown.request, reason, Trigger.SIGNAL, at=at)
        if response is Response.GRACEFUL:
            engine.shutdown.note_request(reason, Trigger.SIGNAL, at=at)
            engine.keeper.post(functools.partial(request, delay=True))
            return False
        if not self._counts(at):
            return False
        if self._interrupts >= END:
            return True
        engine.shutdown.note_request(reason, Trigger.SIGNAL, at=at)
        if self._interrupts == _FORCE:
            engine.shutdown.note_force(number)
            engine.keeper.post(engine.shutdown.force)
        else:
            engine.keeper.post(functools.partial(request, delay=False))
        return False

    def _counts(self, at: float) -> bool:
        """Count an interrupt, unless it is the same as the one before; says whether it was."""
        if at - self._last < DEBOUNCE:
            return False
        self._last = at
        self._interrupts += 1
        return True


def name_of(number: int) -> str:
    """The name of a signal: ``SIGTERM``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
