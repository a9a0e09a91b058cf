"""The signs of states: each has a shape of its own, so that no colour is needed to tell them."""

from __future__ import annotations

from urllib.parse import quote

from lifecycle.probes.page.markup import Markup, element
from lifecycle.probes.page.standing import Tone

_COLOURS = {
    Tone.IDLE: "#7d8590",
    Tone.BUSY: "#3b82d6",
    Tone.GOOD: "#2c9a4b",
    Tone.WARN: "#c98a12",
    Tone.BAD: "#d3404c",
}
"""Of the icon, which stands on light and dark alike."""


def sign(shape: str) -> Markup:
    """Write a sign into a line of text; the words beside it say the same.

    Args:
        shape: which of those in ``signs.svg``.

    """
    use = element("use", href=f"#sign-{shape}")
    return element("svg", use, class_=f"sign {shape}", aria_hidden="true", viewBox="0 0 16 16")


def icon(tone: Tone) -> str:
    """Give the address of the picture beside the page's title: it is in the address itself."""
    dot = element("circle", cx=8, cy=8, r=6, fill=_COLOURS[tone])
    svg = element("svg", dot, xmlns="http://www.w3.org/2000/svg", viewBox="0 0 16 16")
    return f"data:image/svg+xml,{quote(svg)}"
