"""Writing down what one call of a verb declares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from lifecycle._core.component import Kind
from lifecycle._core.declaration import Contents, Declaration, GivenHook, HookName, Where
from lifecycle.component import Component, Ref, as_refs
from lifecycle.options import ComponentOptions, Options, ServiceOptions

_HOOKS: Final[tuple[HookName, ...]] = ("start", "drain", "stop", "check")
_REFS: Final = ("requires", "wants", "after")
_OPTIONS: Final = frozenset(Options.__annotations__)
_TAKEN: Final = {
    "component": _OPTIONS | ComponentOptions.__annotations__.keys(),
    "build": _OPTIONS | {*_HOOKS},
    "add": _OPTIONS | {*_HOOKS},
    "service": _OPTIONS | ServiceOptions.__annotations__.keys(),
    "main": _OPTIONS,
    "value": frozenset({"name", "enabled"}),
}


def declare(
    contents: Contents, verb: str, kind: Kind, name: str, options: dict[str, Any], **what: Any
) -> Component[Any]:
    """Add a component to a registry.

    Args:
        contents: those of the registry.
        verb: what the user called.
        kind: what it declares.
        name: the component's name where the options give none.
        options: the keyword arguments.
        **what: the `function` or `value` of the declaration.

    Raises:
        TypeError: an option is unknown, or names something that is no component.
    """
    check_keywords(verb, options)
    where = Where.of_caller()
    declaration = Declaration(
        home=contents,
        kind=kind,
        name=options.get("name", name),
        where=where,
        hooks=[
            GivenHook(hook, options[hook], takes_value=kind is Kind.BUILD, where=where)
            for hook in _HOOKS
            if options.get(hook) is not None
        ],
        options={
            key: _refs(option, key) if key in _REFS else option
            for key, option in options.items()
            if key not in _HOOKS
        },
        **what,
    )
    component: Component[Any] = Component(declaration)
    contents.items.append(declaration)
    return component


def check_keywords(verb: str, options: dict[str, Any]) -> None:
    """Refuse keyword arguments that a verb does not take.

    Raises:
        TypeError: there is one.
    """
    taken = _TAKEN[verb]
    for keyword in (keyword for keyword in options if keyword not in taken):
        message = f"{verb}() got an unexpected keyword argument {keyword!r}"
        import difflib  # noqa: PLC0415  who makes no mistake does not need it

        like = difflib.get_close_matches(keyword, sorted(taken), n=1)
        raise TypeError(f"{message}. Did you mean {like[0]!r}?" if like else message)


def _refs(given: Any, keyword: str) -> tuple[Ref, ...]:
    """Make a tuple of handles and names, of one or of many, while an iterator still has them."""
    several: Any = given
    if isinstance(given, (Component, str)) or not isinstance(given, Iterable):
        several = (given,)
    return as_refs(several, f"{keyword}=")
