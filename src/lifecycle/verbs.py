"""The five verbs that declare components, by who owns the life, and `value`, which has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from lifecycle._core.component import Kind
from lifecycle._planning.declaring import check_keywords, declare
from lifecycle.naming import name_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from typing_extensions import Unpack

    from lifecycle._core.declaration import Contents
    from lifecycle.component import Component
    from lifecycle.decorators import (
        CM,
        Async,
        BuildDecorator,
        BuildHooksDecorator,
        ComponentDecorator,
        Fn,
        Lives,
        MainDecorator,
        ServiceDecorator,
        V,
    )
    from lifecycle.lifetime import Lifetime
    from lifecycle.options import (
        ComponentOptions,
        DrainOptions,
        Options,
        ServiceOptions,
        ValueDrainOptions,
    )

T = TypeVar("T")

_MISSING: Final = object()


class Verbs:
    """Declares components, in the contents of a registry."""

    _contents: Contents

    @overload
    def component(self, fn: Fn[CM], /, **options: Unpack[ComponentOptions]) -> Component[CM]: ...
    @overload
    def component(
        self, fn: Fn[AsyncIterator[T]], /, **options: Unpack[ComponentOptions]
    ) -> Component[T]: ...
    @overload
    def component(
        self, fn: Fn[Iterator[T]], /, **options: Unpack[ComponentOptions]
    ) -> Component[T]: ...
    @overload
    def component(
        self, fn: Fn[Async[T]], /, **options: Unpack[ComponentOptions]
    ) -> Component[T]: ...
    @overload
    def component(self, fn: Fn[T], /, **options: Unpack[ComponentOptions]) -> Component[T]: ...
    @overload
    def component(self, /, **options: Unpack[ComponentOptions]) -> ComponentDecorator: ...
    def component(self, fn: Any = _MISSING, /, **options: Any) -> Any:
        """Declare a component by a function that gives its value, or is its life.

        A generator, async or not, starts up to its one ``yield``, which gives the value, and stops
        after it. What is not async runs in a thread of its own.

        Args:
            fn: the function. Each of its parameters has a default, ``requires(…)`` or ``wants(…)``
                where it is to be filled, but the first may be the `Lifetime`, without one.
            **options: see :class:`~lifecycle.options.ComponentOptions`.

        Returns:
            The handle, or, called with options alone, a decorator that gives it.

        Raises:
            TypeError: an option is unknown, or names something that is no component.
        """
        return self._decorate("component", Kind.FUNCTION, fn, options)

    @overload
    def build(self, fn: Fn[Lives], /, **options: Unpack[Options]) -> Component[Lives]: ...
    @overload
    def build(self, fn: Fn[Async[Lives]], /, **options: Unpack[Options]) -> Component[Lives]: ...
    @overload
    def build(
        self, fn: Fn[AbstractAsyncContextManager[T, Any]], /, **options: Unpack[Options]
    ) -> Component[T]: ...
    @overload
    def build(
        self, fn: Fn[Async[AbstractAsyncContextManager[T, Any]]], /, **options: Unpack[Options]
    ) -> Component[T]: ...
    @overload
    def build(
        self, fn: Fn[AbstractContextManager[T, Any]], /, **options: Unpack[Options]
    ) -> Component[T]: ...
    @overload
    def build(
        self, fn: Fn[Async[AbstractContextManager[T, Any]]], /, **options: Unpack[Options]
    ) -> Component[T]: ...
    @overload
    def build(
        self,
        /,
        *,
        start: Callable[[T], object] = ...,
        drain: Callable[[T], object] = ...,
        stop: Callable[[T], object],
        check: Callable[[T], object] = ...,
        **options: Unpack[Options],
    ) -> BuildHooksDecorator[T]: ...
    @overload
    def build(
        self,
        /,
        *,
        start: Callable[[T], object],
        drain: Callable[[T], object] = ...,
        check: Callable[[T], object] = ...,
        **options: Unpack[Options],
    ) -> BuildHooksDecorator[T]: ...
    @overload
    def build(self, /, **options: Unpack[ValueDrainOptions]) -> BuildDecorator: ...
    def build(self, fn: Any = _MISSING, /, **options: Any) -> Any:
        """Declare a component by a function that makes an object with a life of its own.

        The function runs on the event loop. What it makes is then treated as by `add`; the hooks
        named here are called with it.

        Args:
            fn: the function; its parameters are as for `component`.
            **options: see :class:`~lifecycle.options.Options`; and the hooks ``start``, ``drain``,
                ``stop`` and ``check``.

        Returns:
            The handle, or, called with options alone, a decorator that gives it.

        Raises:
            TypeError: an option is unknown, or names something that is no component.
        """
        return self._decorate("build", Kind.BUILD, fn, options)

    @overload
    def add(
        self,
        obj: T,
        /,
        *,
        start: Callable[[], object] = ...,
        stop: Callable[[], object],
        **options: Unpack[DrainOptions],
    ) -> Component[T]: ...
    @overload
    def add(
        self, obj: T, /, *, start: Callable[[], object], **options: Unpack[DrainOptions]
    ) -> Component[T]: ...
    @overload
    def add(self, obj: Lives, /, **options: Unpack[DrainOptions]) -> Component[Lives]: ...
    @overload
    def add(
        self, obj: AbstractAsyncContextManager[T, Any], /, **options: Unpack[DrainOptions]
    ) -> Component[T]: ...
    @overload
    def add(
        self, obj: AbstractContextManager[T, Any], /, **options: Unpack[DrainOptions]
    ) -> Component[T]: ...
    def add(self, obj: Any, /, **options: Any) -> Component[Any]:
        """Declare a component by an object with a life of its own that exists already.

        Its life is the first of these that gives a start or a stop: the hooks named here; its
        methods ``start`` and ``stop``; its being an async context manager; a sync one. A ``drain``
        and a ``check``, named here or its methods, are added to that.

        Args:
            obj: the object.
            **options: see :class:`~lifecycle.options.Options`; and the hooks ``start``, ``drain``,
                ``stop`` and ``check``, which are called without arguments.

        Raises:
            TypeError: an option is unknown, or names something that is no component.
        """
        return declare(self._contents, "add", Kind.OBJECT, type(obj).__name__, options, value=obj)

    @overload
    def service(
        self, fn: Callable[[], Async[object]], /, **options: Unpack[ServiceOptions]
    ) -> Component[None]: ...
    @overload
    def service(
        self, fn: Callable[[Lifetime[V]], Async[object]], /, **options: Unpack[ServiceOptions]
    ) -> Component[V]: ...
    @overload
    def service(self, /, **options: Unpack[ServiceOptions]) -> ServiceDecorator: ...
    def service(self, fn: Any = _MISSING, /, **options: Any) -> Any:
        """Declare a component by an async function that runs as long as the system does.

        With a `Lifetime` as its first parameter it says itself when it is ready, and ends when it
        is asked to drain; without, it is ready once it runs, and is cancelled when it is to stop.

        Args:
            fn: the function; its parameters are as for `component`.
            **options: see :class:`~lifecycle.options.ServiceOptions`.

        Returns:
            The handle, or, called with options alone, a decorator that gives it.

        Raises:
            TypeError: an option is unknown, or names something that is no component.
        """
        return self._decorate("service", Kind.SERVICE, fn, options)

    @overload
    def main(self, fn: Fn[Async[int | None]], /, **options: Unpack[Options]) -> Component[None]: ...
    @overload
    def main(self, /, **options: Unpack[Options]) -> MainDecorator: ...
    def main(self, fn: Any = _MISSING, /, **options: Any) -> Any:
        """Declare an async function whose end is the end of the program, such as a batch job.

        Args:
            fn: the function; its parameters are as for `component`. The integer that it returns is
                the exit code.
            **options: see :class:`~lifecycle.options.Options`.

        Returns:
            The handle, or, called with options alone, a decorator that gives it.

        Raises:
            TypeError: an option is unknown, or names something that is no component.
        """
        return self._decorate("main", Kind.MAIN, fn, options)

    def value(
        self, value: T, /, *, name: str, enabled: bool | Callable[[], bool] = True
    ) -> Component[T]:
        """Declare a bare value: no hooks are looked for.

        Args:
            value: the value.
            name: its name.
            enabled: whether it is there at all; a function is asked once by each `plan`.
        """
        options = {"name": name, "enabled": enabled}
        return declare(self._contents, "value", Kind.VALUE, name, options, value=value)

    def _decorate(self, verb: str, kind: Kind, fn: Any, options: dict[str, Any]) -> Any:
        def decorate(fn: Any, /) -> Component[Any]:
            return declare(self._contents, verb, kind, name_of(fn), options, function=fn)

        if fn is not _MISSING:
            return decorate(fn)
        check_keywords(verb, options)
        return decorate
