"""Which hooks an object brings, and in which order they are looked for."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from lifecycle._core import calls
from lifecycle._core.declaration import Mark
from lifecycle.errors import InvalidComponentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle._core.component import Hooks

NO_HOOKS = (
    "is {kind!r}, which has no hooks: neither start or stop methods, nor is it a context manager. "
    "Give `start=` or `stop=`; a bare value is declared with `value(…)`"
)

YIELDS = (
    "is a generator, of which nothing would run: declare the function with component, which starts "
    "up to the yield, and stops after it"
)
"""What is wrong with what was built or added, where it has no other hooks."""

GENERATOR = "is a generator function, of which nothing would run: write it without yield"
"""What is wrong with such a hook."""

FROM_BUILD = "Let the function of a `build` require it, and give it to the object"
"""What to do where the hook of an object wants the value of a component."""


def not_filled(function: Any, given: int) -> str | None:
    """Say which parameter of a hook is `requires(…)` or the like; None: there is none.

    Args:
        function: what is called as it is, and has nothing filled in; it has been seen that it can
            be called so.
        given: with how many arguments.

    """
    for name, value in _not_given(function, given):
        if isinstance(value, Mark):
            return (
                f"would be given {value.relation}(…) itself for its parameter {name!r}: only the "
                "functions of component, build, service, main and made_by are filled in"
            )
    return None


def _not_given(function: Any, given: int) -> Iterator[tuple[str, object]]:
    """What a function is called with besides what it is given: the name of each, and what it is."""
    if type(function) is types.MethodType:
        function, given = function.__func__, given + 1
    if isinstance(function, functools.partial):
        names = [parameter.name for parameter in calls.parameters(function.func)]
        names += ["*args"] * len(function.args)  # where it does not tell, or takes any number
        yield from zip(names, function.args, strict=False)
        yield from function.keywords.items()
    for parameter in calls.parameters(function)[given:]:
        yield parameter.name, parameter.default


class ObjectHooks(NamedTuple):
    """The hooks of an object that was added or built; all are called without arguments."""

    start: Callable[[], Any] | None = None
    stop: Callable[[], Any] | None = None
    drain: Callable[[], Any] | None = None
    check: Callable[[], Any] | None = None
    manager: bool = False
    """Whether it is entered and left as an async context manager."""
    sync_manager: bool = False


def hooks_of(name: str, value: Any, hooks: Hooks) -> ObjectHooks:
    """What the life of an object consists of, in the order of the design.

    Hooks that were given; methods ``start`` and ``stop``; an async context manager; a sync one. The
    first of these that gives a start or a stop is the whole of it.

    Raises:
        InvalidComponentError: it has none of these, or a method that needs arguments, or marks.

    """

    def bound(hook: Callable[..., Any] | None) -> Callable[[], Any] | None:
        if hook is None:
            return None
        return functools.partial(hook, value) if hooks.take_value else hook

    def method(which: str) -> Callable[[], Any] | None:
        found = getattr(value, which, None)
        if not callable(found):
            return None
        _refuse_arguments(name, which, found)
        return found  # type: ignore[no-any-return]

    drain = bound(hooks.drain)
    if drain is None:
        drain = method("drain")
    check = None if hooks.checks else method("check")
    if hooks.start is not None or hooks.stop is not None:
        return ObjectHooks(bound(hooks.start), bound(hooks.stop), drain, check)
    start, stop = method("start"), method("stop")
    if start is not None or stop is not None:
        return ObjectHooks(start, stop, drain, check)
    if isinstance(value, contextlib.AbstractAsyncContextManager):
        return ObjectHooks(drain=drain, check=check, manager=True)
    if isinstance(value, contextlib.AbstractContextManager):
        return ObjectHooks(drain=drain, check=check, sync_manager=True)
    yields = isinstance(value, (Generator, AsyncGenerator))
    reason = YIELDS if yields else NO_HOOKS.format(kind=type(value).__name__)
    raise InvalidComponentError(name, reason)


def _refuse_arguments(name: str, which: str, hook: Callable[..., Any]) -> None:
    """Refuse a hook that needs what nobody gives it before it is too late to say so."""
    problem = calls.cannot_take(hook, 0)
    if problem is not None:
        reason = (
            f"has a {which!r} that cannot be called without arguments ({problem}). Give the hook "
            f"yourself, with `build({which}=lambda value: …)` or `add(…, {which}=…)`"
        )
        raise InvalidComponentError(name, reason)
    if calls.is_generator(hook):
        raise InvalidComponentError(name, f"has a {which!r} that {GENERATOR}")
    marked = not_filled(hook, 0)
    if marked is not None:
        raise InvalidComponentError(name, f"has a {which!r} that {marked}. {FROM_BUILD}")
