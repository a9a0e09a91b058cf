"""What the five verbs take, and give as decorators, as type checkers see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, overload

from typing_extensions import TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from lifecycle.component import Component
    from lifecycle.lifetime import Lifetime

T = TypeVar("T")
R = TypeVar("R")
V = TypeVar("V", default=None)


class Starts(Protocol):
    """An object that starts by a method of its own."""

    def start(self) -> object:
        """Start."""
        ...


class Stops(Protocol):
    """An object that stops by a method of its own."""

    def stop(self) -> object:
        """Stop."""
        ...


Lives = TypeVar("Lives", bound=Starts | Stops)

if TYPE_CHECKING:
    Manager: TypeAlias = AbstractContextManager[Any, Any] | AbstractAsyncContextManager[Any, Any]
    CM = TypeVar("CM", bound=Manager)
    Fn: TypeAlias = Callable[[], R] | Callable[[Lifetime], R]
    """A function whose parameters all have defaults, but the first, if that is the Lifetime."""
    Async: TypeAlias = Coroutine[Any, Any, R]


class ComponentDecorator(Protocol):
    """What ``component`` with options gives."""

    @overload
    def __call__(self, fn: Fn[CM], /) -> Component[CM]: ...
    @overload
    def __call__(self, fn: Fn[AsyncIterator[T]], /) -> Component[T]: ...
    @overload
    def __call__(self, fn: Fn[Iterator[T]], /) -> Component[T]: ...
    @overload
    def __call__(self, fn: Fn[Async[T]], /) -> Component[T]: ...
    @overload
    def __call__(self, fn: Fn[T], /) -> Component[T]: ...


class BuildDecorator(Protocol):
    """What ``build`` gives with options, where what is built starts and stops by itself."""

    @overload
    def __call__(self, fn: Fn[Lives], /) -> Component[Lives]: ...
    @overload
    def __call__(self, fn: Fn[Async[Lives]], /) -> Component[Lives]: ...
    @overload
    def __call__(self, fn: Fn[AbstractAsyncContextManager[T, Any]], /) -> Component[T]: ...
    @overload
    def __call__(self, fn: Fn[Async[AbstractAsyncContextManager[T, Any]]], /) -> Component[T]: ...
    @overload
    def __call__(self, fn: Fn[AbstractContextManager[T, Any]], /) -> Component[T]: ...
    @overload
    def __call__(self, fn: Fn[Async[AbstractContextManager[T, Any]]], /) -> Component[T]: ...


class BuildHooksDecorator(Protocol[R]):
    """What ``build`` gives where hooks are named for what is built."""

    @overload
    def __call__(self, fn: Fn[Async[R]], /) -> Component[R]: ...
    @overload
    def __call__(self, fn: Fn[R], /) -> Component[R]: ...


class ServiceDecorator(Protocol):
    """What ``service`` with options gives."""

    @overload
    def __call__(self, fn: Callable[[], Async[object]], /) -> Component[None]: ...
    @overload
    def __call__(self, fn: Callable[[Lifetime[V]], Async[object]], /) -> Component[V]: ...


class MainDecorator(Protocol):
    """What ``main`` with options gives."""

    def __call__(self, fn: Fn[Async[int | None]], /) -> Component[None]:
        """Declare it."""
        ...
