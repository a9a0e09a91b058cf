"""How durations and names are written; the page's script writes durations the same way."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_EXACT = 10
"""Seconds from which on nobody asks for tenths."""
_WIDE = frozenset("WF")


def age(duration: float) -> str:
    """Write how long something has lasted: ``3 s``, ``12 min``, ``5 h 20 min``, ``8 d``.

    Whole seconds at most, rounded down, since it is counted on; see `took` for what is over.
    """
    whole = max(0, int(duration))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d"


def took(duration: float) -> str:
    """Write how long something took: ``0.28 s``, ``4.1 s``, ``35 s``, ``2 min``."""
    if duration < 1:
        return f"{round(duration, 2):g} s"
    if duration < _EXACT:
        return f"{round(duration, 1):g} s"
    return age(duration)


def some(names: Sequence[str], most: int = 3) -> str:
    """Write a few names: ``a, b, c and 4 more``."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def shortened(text: str, width: int) -> str:
    """Leave out the middle of a text that is too long: names often differ at their ends.

    Args:
        text: the text.
        width: how many letters it may be wide; those of some scripts count double.

    """
    if _width(text) <= width:
        return text
    head, tail = "", ""
    for one, other in zip(text, reversed(text), strict=False):
        if _width(head + one + tail) >= width:
            break
        head += one
        if _width(head + other + tail) >= width:
            break
        tail = other + tail
    return f"{head}…{tail}"


def _width(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(letter) in _WIDE) for letter in text)
