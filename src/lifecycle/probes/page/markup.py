"""HTML and SVG, written so that nothing gets into them unescaped.

What is a `Markup` has been escaped; any other text is, at the moment it becomes part of one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_IN_VALUE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_EMPTY = frozenset({"circle", "line", "link", "meta", "path", "rect", "use"})
"""Elements that have no content."""


class Markup(str):
    """Text that has been escaped, or was written by us."""

    __slots__ = ()


Content = str
"""A `Markup` as it is, or text that is still to be escaped."""
Value = str | float | bool | None
"""Of an attribute: True for one without a value, None or False for none."""


def element(tag: str, *content: Content, **attributes: Value) -> Markup:
    """Write an element.

    Args:
        tag: its name.
        content: what is in it.
        attributes: ``_`` in a name stands for ``-``, and one at its end for nothing: ``class_``.

    """
    written = "".join(
        _attribute(name.rstrip("_").replace("_", "-"), value)
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _EMPTY and not content:
        end = "/>" if tag in {"circle", "line", "path", "rect", "use"} else ">"
        return Markup(f"<{tag}{written}{end}")
    return Markup(f"<{tag}{written}>{join(content)}</{tag}>")


def join(parts: Iterable[Content]) -> Markup:
    """Put parts behind each other."""
    return Markup("".join(map(escaped, parts)))


def escaped(content: Content) -> Markup:
    """Escape text; what is markup is left as it is."""
    if isinstance(content, Markup):
        return content
    return Markup(_seen(content).translate(_IN_TEXT))


def _attribute(name: str, value: Value) -> str:
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{_seen(text).translate(_IN_VALUE)}"'


def _seen(text: str) -> str:
    """Replace what no browser shows, and what cannot be encoded."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
