"""Being around the hooks of a system: for tests that bend them, and for what traces them."""

from __future__ import annotations

from lifecycle._engine.instruments import HookCall, Instrument, instrumented

__all__ = ["HookCall", "Instrument", "instrumented"]
