"""Start the parts of a service in order, and end them in reverse, in the time that there is."""

from __future__ import annotations

from lifecycle import errors, events
from lifecycle._core.plan import Plan
from lifecycle._engine.lifetime import Lifetime
from lifecycle._engine.system import System
from lifecycle.component import Component, requires, requires_all, wants
from lifecycle.embedded import running
from lifecycle.program import run
from lifecycle.registry import Registry
from lifecycle.report import Report
from lifecycle.settings import Limits, Retry, Settings
from lifecycle.states import ExitCode, Outcome

__all__ = [
    "Component",
    "ExitCode",
    "Lifetime",
    "Limits",
    "Outcome",
    "Plan",
    "Registry",
    "Report",
    "Retry",
    "Settings",
    "System",
    "errors",
    "events",
    "requires",
    "requires_all",
    "run",
    "running",
    "wants",
]
