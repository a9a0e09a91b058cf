"""The readiness barrier before one component."""

from __future__ import annotations

from lifecycle._engine.gate import Gate

__all__ = ["Gate"]
