"""The files that are shipped with the page and become part of it: style, script, and signs."""

from __future__ import annotations

import base64
import functools
import hashlib
import pkgutil
from types import MappingProxyType
from typing import Final

from lifecycle.probes.page.markup import Markup


def _read(name: str) -> Markup:
    data = pkgutil.get_data(__name__, name)
    assert data is not None  # noqa: S101  only a loader that reads no files has none
    return Markup(data.decode())


# Read before anything runs: who asks for the page must not wait for a disk, or need a descriptor.
_ASSETS: Final = MappingProxyType(
    {name: _read(name) for name in ("page.css", "page.js", "signs.svg")}
)


def asset(name: str) -> Markup:
    """Give a file that is shipped with the page."""
    return _ASSETS[name]


@functools.cache
def policy() -> str:
    """Give the page's Content-Security-Policy: what is in the page itself, and nothing else.

    Style and script are named by their hashes, so that nothing that got in would run.
    """
    rules = {
        "default-src": "'none'",
        "style-src": _hash(asset("page.css")),
        "script-src": _hash(asset("page.js")),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
