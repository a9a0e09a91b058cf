"""What things are called that users pass: hooks, checks, companions."""

from __future__ import annotations

from typing import Any


def name_of(fn: Any) -> str:
    """The name of a function or class; of what has none, that of what it wraps, or its class."""
    while not isinstance(name := getattr(fn, "__name__", None), str):
        inner = getattr(fn, "func", None)  # functools.partial
        if inner is None:
            return type(fn).__name__
        fn = inner
    return name


def given_name_of(thing: Any) -> str:
    """The `name` that something says it has; the name of the function that it is, where it has not.

    A check or a companion may be either.
    """
    given = getattr(thing, "name", None)
    return given if isinstance(given, str) else name_of(thing)
