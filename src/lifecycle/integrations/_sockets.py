"""Where :mod:`lifecycle.sockets` was."""

from __future__ import annotations

from lifecycle.sockets import bind, listen

__all__ = ["bind", "listen"]
