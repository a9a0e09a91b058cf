"""The handle of a component, and the marks that say where a function's parameters come from.

A handle lives as long as the registry that it was declared in. It is the component's identity:
whoever holds it can require it, and finds by it what a system has made of it.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast, overload

import attrs
from typing_extensions import Self, TypeVar

from lifecycle._core.component import Kind
from lifecycle._core.declaration import Declaration, GivenHook, HookName, Mark, Where
from lifecycle._record import Shown
from lifecycle.naming import name_of

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Callable,
        Coroutine,
        Iterable,
        Iterator,
        Sequence,
    )
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from lifecycle.lifetime import Lifetime

T = TypeVar("T")
R = TypeVar("R")
D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)

if TYPE_CHECKING:
    Manager: TypeAlias = AbstractAsyncContextManager[T, Any] | AbstractContextManager[T, Any]
    Given: TypeAlias = T | AsyncIterator[T] | Iterator[T] | Coroutine[Any, Any, T] | Manager[T]
    """What the function of `made_by` may return in order to give a `T`."""


@attrs.frozen(eq=False, repr=False)
class Override(Shown):
    """What stands in for a component in a changed copy; made by `to` and `made_by`."""

    component: Component[Any]
    declaration: Declaration = attrs.field(repr=False)


class Source(Generic[T_co]):
    """A handle as far as it is read: it gives a `T_co`, or for whoever asks for less, that."""

    def __init__(self, declaration: Declaration) -> None:
        declaration.handle = self
        self._declaration = declaration
        self._mapped: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Component {self.name!r} of {self.registry!r}>"

    @property
    def name(self) -> str:
        """The name that it was declared with, without the prefixes of an `include`."""
        return cast("str", self._declaration.name)

    @property
    def registry(self) -> str:
        """The name of the registry that it was declared in."""
        return self._declaration.home.name


class Component(Source[T]):
    """What a registry gives for a declared component; `T` is the type of its value.

    It is exactly that type, so that what stands in for the value in tests can be checked; where it
    is only read, in ``requires``, a wider one will do.
    """

    def __copy__(self) -> Self:
        """Itself: which component it is, is all that there is to know."""
        return self

    def __deepcopy__(self, _: object) -> Self:
        """Likewise, also within a copy of what holds it."""
        return self

    @property
    def function(self) -> Callable[..., Any]:
        """The bare function that it was declared with, for unit tests.

        Raises:
            AttributeError: it was declared by ``add`` or ``value``, without a function.
        """
        if self._declaration.function is None:
            message = f"{self.name!r} was declared with a value, not with a function"
            raise AttributeError(message)
        return cast("Callable[..., Any]", self._declaration.function)

    def drain(self, fn: Callable[[T], object], /) -> Callable[[T], object]:
        """Name what is called when it is to take no new work and finish what is in flight.

        Args:
            fn: called with the component's value; may be async.

        Returns:
            `fn`, so that this can be used as a decorator.
        """
        self._add_hook("drain", fn)
        return fn

    @overload
    def check(self, fn: Callable[[T], object], /) -> Callable[[T], object]: ...
    @overload
    def check(
        self, /, *, liveness: bool
    ) -> Callable[[Callable[[T], object]], Callable[[T], object]]: ...
    def check(
        self, fn: Callable[[T], object] | None = None, /, *, liveness: bool = False
    ) -> Callable[[T], object] | Callable[[Callable[[T], object]], Callable[[T], object]]:
        """Name what is asked whether it is in order: raising, or returning False, says no.

        A component may have several checks.

        Args:
            fn: called with the component's value; may be async.
            liveness: whether a failure means that the whole process can do no work any more, so
                that it should be restarted: ``/health`` then fails, and not only ``/ready``.

        Returns:
            `fn`, so that this can be used as a decorator.
        """

        def add(check: Callable[[T], object], /) -> Callable[[T], object]:
            self._add_hook("check", check, liveness=liveness)
            return check

        return add if fn is None else add(fn)

    def map(self, fn: Callable[[T], R], /, *, name: str | None = None) -> Component[R]:
        """Declare a value that is made from this one's, in the same registry.

        It has no life of its own: it is there when this one is ready, is optional if this one is,
        and absent where this one is.

        Args:
            fn: called on the event loop with this component's value.
            name: by default this one's name and `fn`'s, ``engine.async_sessionmaker``; where this
                component has such a one already, ``engine.async_sessionmaker#2``, and so on.
        """
        origin = self._declaration
        if name is None:
            name = f"{self.name}.{name_of(fn)}"
            self._mapped[name] = count = self._mapped.get(name, 0) + 1
            name = name if count == 1 else f"{name}#{count}"
        declaration = Declaration(
            home=origin.home,
            kind=Kind.DERIVED,
            name=name,
            where=Where.of_caller(),
            function=fn,
            source=self,
        )
        origin.home.items.append(declaration)
        return Component(declaration)

    def to(self, value: T, /) -> Override:
        """Say that, in a changed copy, it is this value, without dependencies, checks and hooks."""
        return Override(self, self._replacement(Kind.VALUE, value=value))

    def made_by(self, fn: Callable[[], Given[T]] | Callable[[Lifetime], Given[T]], /) -> Override:
        """Say that, in a changed copy, it is made by this function.

        Args:
            fn: treated as by ``Registry.component``, with its own ``requires(…)``; a context
                manager that it returns is entered.
        """
        return Override(self, self._replacement(Kind.FUNCTION, function=fn, enter=True))

    def _replacement(self, kind: Kind, **how: Any) -> Declaration:
        origin = self._declaration
        # Whoever overrides wants it to be there: `enabled` goes, as does all it depended on.
        dropped = ("requires", "wants", "after", "enabled", "on_return")
        options = {key: option for key, option in origin.options.items() if key not in dropped}
        return Declaration(
            home=origin.home,
            kind=kind,
            name=origin.name,
            where=Where.of_caller(),
            options=options,
            handle=self,
            **how,
        )

    def _add_hook(self, which: HookName, fn: object, *, liveness: bool = False) -> None:
        hook = GivenHook(which, fn, takes_value=True, liveness=liveness, where=Where.of_caller())
        self._declaration.hooks.append(hook)


Ref: TypeAlias = Component[Any] | str
"""A component, by its handle or by its name."""


@overload
def requires(component: Source[T], /) -> T: ...
@overload
def requires(component: str, /) -> Any: ...
def requires(component: Source[Any] | str, /) -> Any:
    """Fill a parameter with the value of another component, which is started before.

    To be used as the parameter's default: ``pool: Pool = requires(database)``. If that component
    fails, the one with the parameter is not started.

    Args:
        component: its handle; by name it works too, but is not checked by type checkers.

    Raises:
        TypeError: it is neither.
    """
    return Mark("requires", (as_ref(component, "requires()"),))


def requires_all(components: Iterable[Source[T]], /) -> Sequence[T]:
    """Fill a parameter with a tuple of the values of several components, in the order given.

    Args:
        components: their handles.

    Raises:
        TypeError: one of them is not a component.
    """
    return cast("Sequence[T]", Mark("requires_all", as_refs(components, "requires_all()")))


@overload
def wants(component: Source[T], /) -> T | None: ...
@overload
def wants(component: Source[T], /, *, default: D) -> T | D: ...
@overload
def wants(component: str, /, *, default: Any = None) -> Any: ...
def wants(component: Source[Any] | str, /, *, default: Any = None) -> Any:
    """Fill a parameter with the value of another component, or with a default.

    That component is started before; where it failed, or is absent (not enabled, left out, or
    nothing of that name), there is the default.

    Args:
        component: its handle; by name it works too, but is not checked by type checkers.
        default: what is passed instead.

    Raises:
        TypeError: it is neither a handle nor a name.
    """
    return Mark("wants", (as_ref(component, "wants()"),), default)


def as_ref(value: object, user: str) -> Ref:
    """Give back a handle or name.

    Args:
        value: what the user has passed.
        user: what it was passed to.

    Raises:
        TypeError: it is neither.
    """
    ref: Any = value
    if isinstance(value, (Component, str)):
        return cast("Ref", ref)
    message = f"{user} takes a component, or the name of one, not {value!r}"
    if callable(value):
        message += ". Was it declared, as with @registry.component?"
    raise TypeError(message)


def as_refs(values: Iterable[object], user: str) -> tuple[Ref, ...]:
    """Give back handles and names; those of a set by name, since its own order is by chance.

    Args:
        values: what the user has passed.
        user: what it was passed to.

    Raises:
        TypeError: one of them is neither.
    """
    refs = [as_ref(value, user) for value in values]
    if isinstance(values, AbstractSet):
        refs.sort(key=lambda ref: ref if isinstance(ref, str) else ref.name)
    return tuple(refs)
