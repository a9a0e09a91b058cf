"""Testing what runs as a lifecycle system, and the asynchronous code in it."""

from __future__ import annotations

from lifecycle.testing._backends import backend
from lifecycle.testing._clock import FakeClock, clock
from lifecycle.testing._running import run
from lifecycle.testing._stalled import StalledError
from lifecycle.testing._stuck import Stuck

__all__ = ["FakeClock", "StalledError", "Stuck", "backend", "clock", "run"]
