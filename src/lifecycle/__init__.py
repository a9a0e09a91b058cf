"""Start the parts of a service in order, and end them in reverse, in the time that there is."""

from __future__ import annotations

# Before all that takes long; to be imported is what it does.
import _lifecycle_command  # noqa: F401  # pyright: ignore[reportMissingTypeStubs, reportUnusedImport]

# isort: split
import importlib
from typing import TYPE_CHECKING, Any

from lifecycle import errors, events
from lifecycle._core.plan import Plan
from lifecycle._engine.lifetime import Lifetime
from lifecycle._engine.system import System
from lifecycle.component import Component, requires, requires_all, wants
from lifecycle.embedded import running
from lifecycle.registry import Registry
from lifecycle.report import Report
from lifecycle.settings import Limits, Retry, Settings
from lifecycle.states import ExitCode, Outcome

if TYPE_CHECKING:
    from lifecycle import preflight as preflight
    from lifecycle.program import run

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


def __getattr__(name: str) -> Any:
    # `lifecycle.preflight.env(…)` works after `import lifecycle`, and costs nothing before. So does
    # `run`, with what a whole program needs: child processes, a watchdog, words for a terminal.
    if name == "preflight":
        return importlib.import_module("lifecycle.preflight")
    if name == "run":
        run = globals()["run"] = importlib.import_module("lifecycle.program").run
        return run
    message = f"module 'lifecycle' has no attribute {name!r}"
    raise AttributeError(message)
