"""What a hook can ask and say about the component that it belongs to."""

from __future__ import annotations

from lifecycle._engine.lifetime import Lifetime

__all__ = ["Lifetime"]
