"""Runs every Python block in the documentation, and compares what it prints with what is shown.

The blocks of one page share a namespace. A block of the language `output` has to be what was
printed since the one before.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

from sybil import Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

if TYPE_CHECKING:
    from sybil import Example


def begin(namespace: dict[str, Any]) -> None:
    """Note what the page prints, from any thread."""
    namespace["__printed__"] = io.StringIO()
    namespace["print"] = functools.partial(print, file=namespace["__printed__"])


def compare(example: Example) -> str | None:
    """Compare a block of output with what was printed."""
    printed: io.StringIO = example.namespace["__printed__"]
    actual, expected = printed.getvalue().strip(), str(example.parsed).strip()
    printed.seek(0)
    printed.truncate()
    return None if actual == expected else f"the page shows\n{expected}\nand it prints\n{actual}"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser("output", compare)],
    patterns=["*.md"],
    setup=begin,
).pytest()
