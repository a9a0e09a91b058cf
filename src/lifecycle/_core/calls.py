"""What can be known of a callable before it is called."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
from typing import Any, Final, NamedTuple

_EMPTY: Final = inspect.Parameter.empty
_BY_POSITION: Final = inspect.Parameter.POSITIONAL_ONLY
_EITHER: Final = inspect.Parameter.POSITIONAL_OR_KEYWORD
_BY_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY
_MANY: Final = 100
"""How many layers of wrappers are looked through; more are taken for a circle."""


def signature(function: Any) -> inspect.Signature | None:
    """The signature of a callable, annotations as they stand; None where it does not tell.

    Raises:
        TypeError: it is not callable.
    """
    if not callable(function):
        message = f"{function!r} is not callable"
        raise TypeError(message)
    try:
        if sys.version_info >= (3, 14):  # otherwise names imported for type checkers raise
            import annotationlib  # noqa: PLC0415  new in 3.14

            return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
        return inspect.signature(function)
    except (ValueError, TypeError):  # some builtins; signatures that are broken
        return None


class Parameter(NamedTuple):
    """A parameter of a function, as far as it says how it is to be filled."""

    name: str
    kind: Any
    """As `inspect.Parameter` has it."""
    default: Any
    """Likewise."""


def parameters(function: Any) -> list[Parameter]:
    """The parameters of a callable; none where it does not tell."""
    if type(function) is types.FunctionType and not vars(function):
        return _parameters_of_plain(function)
    known = signature(function)
    return (
        [Parameter(p.name, p.kind, p.default) for p in known.parameters.values()] if known else []
    )


def _parameters_of_plain(function: types.FunctionType) -> list[Parameter]:
    """Do what `inspect.signature` does, in a tenth of its time: plans may be very large."""
    code = function.__code__
    count, only_keyword = code.co_argcount, code.co_kwonlyargcount
    if not count + only_keyword:
        return []
    defaults = (_EMPTY,) * (count - len(function.__defaults__ or ()))
    defaults += function.__defaults__ or ()
    found = [
        Parameter(name, _BY_POSITION if place < code.co_posonlyargcount else _EITHER, default)
        for place, (name, default) in enumerate(zip(code.co_varnames, defaults, strict=False))
    ]
    by_keyword = function.__kwdefaults__ or {}
    names = code.co_varnames[count : count + only_keyword]
    found += [Parameter(name, _BY_KEYWORD, by_keyword.get(name, _EMPTY)) for name in names]
    return found


def cannot_take(function: Any, count: int) -> str | None:
    """Say what keeps a callable from being called with `count` arguments; None: nothing does."""
    if not callable(function):
        return "cannot be called"
    known = signature(function)
    if known is None:
        return None
    try:
        known.bind(*(None,) * count)
    except TypeError as error:
        return str(error)
    return None


def bare(function: Any) -> Any:
    """Look through `functools.partial` and bound methods, to the function that will run."""
    for _ in range(_MANY):
        if isinstance(function, (functools.partial, functools.partialmethod)):
            function = function.func
        elif isinstance(function, types.MethodType):
            function = function.__func__
        else:
            break
    return function


def is_context_manager(function: Any) -> bool:
    """Whether a function is decorated with `contextmanager` or `asynccontextmanager`."""
    return getattr(bare(function), "__code__", None) in _CONTEXT_MANAGERS


def is_async(function: Any) -> bool | None:
    """Whether a callable gives a coroutine; None where it cannot be seen.

    Looks through `functools.partial`, bound methods, callable objects, and `functools.wraps`.
    """
    flags = _flags(function)
    return None if flags is None else bool(flags & inspect.CO_COROUTINE)


_ASYNC: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def belongs_on_loop(function: Any) -> bool:
    """Whether a call gives something to await or to iterate over asynchronously."""
    if type(function) is types.FunctionType and function.__code__.co_flags & _ASYNC:
        return True  # nothing to look through, as with most
    return bool((_flags(function) or 0) & _ASYNC)


def is_generator(function: Any) -> bool:
    """Whether a callable gives a generator, async or not, as far as it can be seen."""
    return bool((_flags(function) or 0) & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))


def is_async_generator(function: Any) -> bool:
    """Whether a callable gives an async generator, as far as it can be seen."""
    return bool((_flags(function) or 0) & inspect.CO_ASYNC_GENERATOR)


def _flags(function: Any) -> int | None:
    for _ in range(_MANY):
        function = bare(function)
        flags = getattr(getattr(function, "__code__", None), "co_flags", None)
        wrapped = getattr(function, "__wrapped__", None)
        if isinstance(flags, int):
            if flags & _GIVES_ITSELF or not callable(wrapped):
                # A plain function may be marked as giving coroutines (Python 3.12).
                marked = inspect.iscoroutinefunction(function)
                return flags | (inspect.CO_COROUTINE if marked else 0)
            function = wrapped
        elif isinstance(function, type):
            return 0
        elif callable(wrapped):
            function = wrapped
        else:
            function = inspect.getattr_static(function.__class__, "__call__", None)
            if not isinstance(function, types.FunctionType):
                return None
    return None


_GIVES_ITSELF: Final = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def _nothing() -> Any:
    yield


_CONTEXT_MANAGERS: Final = (
    contextlib.contextmanager(_nothing).__code__,
    contextlib.asynccontextmanager(_nothing).__code__,
)
