"""Start the parts of a service in order, and end them in reverse, in the time that there is."""

from __future__ import annotations

# Before all that takes long; to be imported is what it does.
import _lifecycle_command  # noqa: F401  # pyright: ignore[reportMissingTypeStubs, reportUnusedImport]

# isort: split
import importlib
from typing import TYPE_CHECKING, Any

# What a module that declares needs. The rest is loaded when it is first asked for: see below.
from lifecycle._engine.lifetime import Lifetime
from lifecycle.component import Component, requires, requires_all, wants
from lifecycle.registry import Registry

if TYPE_CHECKING:
    from lifecycle import errors, events
    from lifecycle import preflight as preflight
    from lifecycle._core.plan import Plan
    from lifecycle._engine.system import System
    from lifecycle.embedded import running
    from lifecycle.program import run
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

if not TYPE_CHECKING:  # a checker that saw this would take any name for one of ours
    # `lifecycle.preflight.env(…)` works after `import lifecycle`, too.
    _MODULES = ("errors", "events", "options", "preflight", "report", "settings", "states")
    # With `running` comes the engine, whole, so that nothing has to be loaded while it runs; with
    # `run` all that only a program needs: child processes, a watchdog, words for a terminal.
    _HOMES = {
        "ExitCode": "lifecycle.states",
        "Limits": "lifecycle.settings",
        "Outcome": "lifecycle.states",
        "Plan": "lifecycle._core.plan",
        "Report": "lifecycle.report",
        "Retry": "lifecycle.settings",
        "Settings": "lifecycle.settings",
        "System": "lifecycle._engine.system",
        "run": "lifecycle.program",
        "running": "lifecycle.embedded",
    }

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"lifecycle.{name}")  # which makes it an attribute
        if name in _HOMES:
            found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
            return found
        message = f"module 'lifecycle' has no attribute {name!r}"
        raise AttributeError(message)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
