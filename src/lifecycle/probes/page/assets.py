"""The files that are shipped with the page and become part of it: style, script, and signs."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources

from lifecycle.probes.page.markup import Markup


@functools.cache
def asset(name: str) -> Markup:
    """Read a file that is shipped with the page."""
    package = __name__.rpartition(".")[0]
    return Markup(resources.files(package).joinpath(name).read_text("utf-8"))


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
