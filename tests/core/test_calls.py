from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from lifecycle._core import calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def numbered(*cases: tuple[bool | None, Any]) -> list[Any]:
    """Name cases by their number: functions have no good names in test ids."""
    return [pytest.param(*case, id=str(number)) for number, case in enumerate(cases)]


async def coroutine() -> None:
    """Do nothing."""


async def async_generator() -> AsyncIterator[None]:
    """Yield."""
    yield


def generator() -> Iterator[None]:
    """Yield."""
    yield


def plain() -> None:
    """Do nothing."""


@functools.wraps(coroutine)
def wrapping(*args: Any) -> Any:
    """Give a coroutine."""
    return coroutine(*args)


@functools.wraps(plain)
async def wrapping_sync() -> None:
    """Give a coroutine, too."""
    plain()


class Asynchronous:
    async def __call__(self) -> None:
        """Do nothing."""

    async def method(self) -> None:
        """Do nothing."""


class Synchronous:
    def __call__(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("expected", "function"),
    numbered(
        (True, coroutine),
        (True, functools.partial(functools.partial(coroutine))),
        (True, Asynchronous().method),
        (True, Asynchronous()),
        (True, functools.partial(Asynchronous())),
        (True, wrapping),
        (True, wrapping_sync),
        (True, mock.AsyncMock()),
        (True, functools.lru_cache(coroutine)),
        (False, plain),
        (False, generator),
        (False, async_generator),
        (False, Asynchronous),
        (False, Synchronous()),
        (False, lambda: coroutine()),  # noqa: PLW0108  a lambda is not async itself
        (None, print),
        (None, object()),
    ),
)
def test_is_async(expected: object, function: Any) -> None:
    """Whether a call gives a coroutine is seen through all that may be wrapped around it."""
    assert expected is calls.is_async(function)


def test_what_wraps_itself_is_not_known() -> None:
    """A wrapper that says that it wraps itself does not hang."""
    function = mock.Mock(spec=["__call__", "__wrapped__"])
    function.__wrapped__ = function
    assert calls.is_async(function) is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the mark is new in 3.12")
def test_marked_functions_are_async() -> None:
    """`inspect.markcoroutinefunction` is believed."""
    import inspect  # noqa: PLC0415

    def plain() -> Any:
        return coroutine()

    mark = vars(inspect)["markcoroutinefunction"]  # not known to the checkers before 3.12
    marked = mark(plain)
    assert calls.is_async(marked) is True


@pytest.mark.parametrize(
    ("expected", "function"),
    numbered(
        (True, generator),
        (True, async_generator),
        (True, functools.partial(generator)),
        (False, plain),
        (False, coroutine),
        (False, print),
    ),
)
def test_is_generator(expected: object, function: Any) -> None:
    """Generators of both colours are told from what runs."""
    assert expected is calls.is_generator(function)


@pytest.mark.rule("K4")
@pytest.mark.parametrize(
    ("expected", "function"),
    numbered(
        (True, coroutine),
        (True, async_generator),
        (True, functools.partial(async_generator)),
        (True, Asynchronous()),
        (True, wrapping),
        (False, plain),
        (False, generator),
        (False, functools.partial(generator)),
        (False, Synchronous),
    ),
)
def test_belongs_on_loop(expected: object, function: Any) -> None:
    """What is awaited, or iterated over asynchronously, runs on the loop, and nothing else does."""
    assert expected is calls.belongs_on_loop(function)


@pytest.mark.parametrize(
    ("expected", "function"),
    numbered((True, async_generator), (False, generator), (False, coroutine), (False, plain)),
)
def test_is_async_generator(expected: object, function: Any) -> None:
    """Of the generators, those of the other colour are told from these."""
    assert expected is calls.is_async_generator(function)


class Manager:
    @contextlib.asynccontextmanager
    async def method(self) -> AsyncIterator[None]:
        yield


@pytest.mark.parametrize(
    ("expected", "function"),
    numbered(
        (True, contextlib.contextmanager(generator)),
        (True, contextlib.asynccontextmanager(async_generator)),
        (True, functools.partial(contextlib.contextmanager(generator))),
        (True, Manager().method),
        (False, generator),
        (False, contextlib.nullcontext),
        (False, contextlib.ExitStack()),
        (False, print),
    ),
)
def test_is_context_manager(expected: object, function: Any) -> None:
    """What the two decorators of contextlib have made is recognised."""
    assert expected is calls.is_context_manager(function)


def everything(a: int, b: str = "b", /, c: int = 3, *rest: int, d: int, e: int = 5, **more: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Take whatever there is."""
    return a, b, c, rest, d, e, more


def hidden(a: int) -> int:
    """Take one argument."""
    return a


@pytest.mark.parametrize(
    "function",
    [everything, plain, hidden, lambda a, b=1: a + b, lambda a, *, b: a + b],
    ids=["all", "none", "one", "lambda", "one_each"],
)
def test_parameters_are_those_of_inspect(function: Callable[..., Any]) -> None:
    """The quick way for plain functions finds what `inspect.signature` finds, but the variadic."""
    found = calls.parameters(function)
    known = calls.signature(function)
    assert known is not None
    expected = [
        (each.name, each.kind, each.default)
        for each in known.parameters.values()
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    assert expected == [tuple(each) for each in found]


def test_parameters_of_what_is_not_plain() -> None:
    """A wrapper has the parameters of what it wraps; some builtins do not tell theirs."""

    @functools.wraps(hidden)
    def wrapper(*args: int) -> int:
        return hidden(*args)

    assert ["a"] == [each.name for each in calls.parameters(wrapper)]
    assert ["a"] == [each.name for each in calls.parameters(functools.partial(hidden))]
    assert [] == calls.parameters(dict)


def test_cannot_take() -> None:
    """Whether a callable takes so many arguments is known before, if it tells its signature."""
    assert calls.cannot_take(plain, 0) is None
    assert calls.cannot_take(hidden, 1) is None
    assert "missing a required argument: 'a'" == calls.cannot_take(hidden, 0)
    assert "too many positional arguments" == calls.cannot_take(hidden, 2)
    assert calls.cannot_take(dict, 7) is None
    assert "cannot be called" == calls.cannot_take(3, 0)


def test_signature_of_what_is_not_callable() -> None:
    """There is no signature of what cannot be called."""
    with pytest.raises(TypeError, match="3 is not callable"):
        calls.signature(3)


@pytest.mark.rule("K4")
def test_what_cannot_be_seen_is_taken_for_sync() -> None:
    """Code in C shows nothing of itself: it is called in a thread, and never on the loop."""
    assert calls.is_async(len) is None
    assert (False, False, False) == (
        calls.belongs_on_loop(len),
        calls.is_generator(len),
        calls.is_async_generator(len),
    )
