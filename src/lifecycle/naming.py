"""What things are called that users pass: hooks, checks, companions."""

from __future__ import annotations

import functools
from typing import Any


def named_in(fn: Any) -> Any:
    """What a partial wraps; anything else itself.

    Nothing is followed that only looks like a partial: a mock has whatever is asked for.
    """
    while isinstance(fn, (functools.partial, functools.partialmethod)):
        fn = fn.func
    return fn


def name_of(fn: Any) -> str:
    """The name of a function or class, also of one in a partial; of what has none, its class's."""
    named = named_in(fn)
    name = getattr(named, "__name__", None)
    return name if isinstance(name, str) else type(named).__name__


def given_name_of(thing: Any) -> str:
    """The `name` that something says it has; the name of the function that it is, where it has not.

    A check or a companion may be either.
    """
    given = getattr(thing, "name", None)
    return given if given and isinstance(given, str) else name_of(thing)
