"""Testing what runs as a lifecycle system, and the asynchronous code in it."""

from __future__ import annotations

from lifecycle.testing import faults
from lifecycle.testing._backends import backend
from lifecycle.testing._clock import FakeClock, clock
from lifecycle.testing._conformance import Conformance, ConformanceError, check_component
from lifecycle.testing._life import Life, running
from lifecycle.testing._living import live
from lifecycle.testing._running import run
from lifecycle.testing._stalled import StalledError
from lifecycle.testing._stuck import Stuck
from lifecycle.testing._transcript import Transcript, differences
from lifecycle.testing._verify import BrokenPromiseError, Verification, verify

__all__ = [
    "BrokenPromiseError",
    "Conformance",
    "ConformanceError",
    "FakeClock",
    "Life",
    "StalledError",
    "Stuck",
    "Transcript",
    "Verification",
    "backend",
    "check_component",
    "clock",
    "differences",
    "faults",
    "live",
    "run",
    "running",
    "verify",
]
