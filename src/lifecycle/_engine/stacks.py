"""Where something that is being awaited stands, as a traceback; alike on asyncio and trio."""

from __future__ import annotations

import traceback
from typing import Any

_AWAITED = ("cr_await", "ag_await", "gi_yieldfrom")
_FRAMES = ("cr_frame", "ag_frame", "gi_frame")


def of(awaited: Any) -> str:
    """The stack of a coroutine or async generator that is suspended, outermost first."""
    lines: list[str] = []
    seen = 0
    while awaited is not None and seen < 100:  # noqa: PLR2004  a stack deeper than that helps nobody
        seen += 1
        frame = next((f for name in _FRAMES if (f := getattr(awaited, name, None))), None)
        if frame is not None:
            lines += traceback.format_list(traceback.extract_stack(frame, limit=1)[-1:])
        awaited = next((a for name in _AWAITED if (a := getattr(awaited, name, None))), None)
    return "".join(lines)
