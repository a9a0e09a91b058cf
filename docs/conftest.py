"""Runs every Python block in the documentation, and compares what it prints with what is shown.

The blocks of one page share a namespace. A block of the language `output` has to be what was
printed since the one before.
"""

from __future__ import annotations

import functools
import gc
import io
import warnings
from typing import TYPE_CHECKING, Any

from sybil import Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

if TYPE_CHECKING:
    from sybil import Example


def begin(namespace: dict[str, Any]) -> None:
    """Note what the page prints, from any thread."""
    namespace["__printed__"] = io.StringIO()
    namespace["print"] = functools.partial(print, file=namespace["__printed__"])


def end(namespace: dict[str, Any]) -> None:
    """Let go of what the page has made: gRPC's thread ends with the last object that uses it.

    What is made at the level of a page is there to be read, and is not closed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        namespace.clear()
        gc.collect()


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
    teardown=end,
).pytest()
