"""What the signature of a declared function says: what it needs, and whether it can be filled."""

from __future__ import annotations

import builtins
import functools
import inspect
import types
import typing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lifecycle._core import calls
from lifecycle._core.component import Kind
from lifecycle._core.declaration import Mark
from lifecycle.component import Component, as_refs, requires, requires_all, wants
from lifecycle.lifetime import Lifetime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle._core.declaration import Declaration

REQUIRES: Final = "__lifecycle_requires__"
"""The method by which the class of an added object says what the object requires: handles, or
names. A web server requires what the routes of its app are provided with. What is optional among
these is only wanted: a route can do without, and the object cannot know."""
_CALLED: Final = (Kind.FUNCTION, Kind.BUILD, Kind.SERVICE, Kind.MAIN)
"""The kinds whose function has its parameters filled."""
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class MarkedParameter(NamedTuple):
    """A parameter whose default is a mark."""

    name: str
    mark: Mark
    positional: bool


class Reading(NamedTuple):
    """What one declaration says that it needs; handles and names are not resolved yet."""

    parameters: tuple[MarkedParameter, ...] = ()
    takes_lifetime: bool = False
    requires: tuple[Any, ...] = ()
    asked: tuple[Any, ...] = ()
    """What the object says by itself that it requires, or wants, where that is optional."""
    wants: tuple[Any, ...] = ()
    after: tuple[Any, ...] = ()
    reasons: tuple[str, ...] = ()
    """What is wrong with the signature."""


class Readings:
    """The readings of one plan, each made once."""

    def __init__(self) -> None:
        self._made: dict[Declaration, Reading] = {}

    def of(self, declaration: Declaration) -> Reading:
        """Read a declaration."""
        if declaration not in self._made:
            self._made[declaration] = _read(declaration)
        return self._made[declaration]


def _read(declaration: Declaration) -> Reading:
    marked: list[MarkedParameter] = []
    reasons: list[str] = []
    takes_lifetime = False
    if declaration.kind in _CALLED and callable(declaration.function):
        takes_lifetime = _read_signature(declaration.function, marked, reasons)
    if declaration.kind is Kind.VALUE and (shown := _reference(declaration.value)):
        reasons.append(
            f"has {shown} as its value, and everybody would be given that itself: what depends on "
            "something is a function with requires(…)"
        )
    options = declaration.options
    source = () if declaration.source is None else (declaration.source,)
    asked = _asked_by_object(declaration, reasons)
    return Reading(
        parameters=tuple(marked),
        takes_lifetime=takes_lifetime,
        requires=(*source, *_refs(marked, wanted=False), *options.get("requires", ())),
        asked=asked,
        wants=(*_refs(marked, wanted=True), *options.get("wants", ())),
        after=options.get("after", ()),
        reasons=tuple(reasons),
    )


def _asked_by_object(declaration: Declaration, reasons: list[str]) -> tuple[Any, ...]:
    """What an object that was added says that it requires: its class may have a method for that."""
    if declaration.kind is not Kind.OBJECT:
        return ()
    value: Any = declaration.value
    ask = getattr(value.__class__, REQUIRES, None)
    if ask is None:
        return ()
    try:
        return as_refs(ask(value), f"{REQUIRES}() of {declaration.name!r}")
    except Exception as error:  # noqa: BLE001  the object's own, whatever it raises
        reasons.append(f"could not be asked what it requires: {type(error).__name__}: {error}")
        return ()


def _refs(marked: list[MarkedParameter], *, wanted: bool) -> Iterator[Any]:
    for parameter in marked:
        if (parameter.mark.relation == "wants") is wanted:
            yield from parameter.mark.refs


def _read_signature(function: Any, marked: list[MarkedParameter], reasons: list[str]) -> bool:
    """Collect the marks of a function; returns whether it takes the `Lifetime`."""
    if isinstance(function, functools.partial) and any(
        isinstance(argument, Mark) for argument in function.args
    ):
        reasons.append(
            "is a partial with a mark among its positional arguments, where it cannot be replaced "
            "by a value: pass it by keyword, as in partial(f, pool=requires(database))"
        )
    takes_lifetime = False
    skipped = None  # a positional parameter that is left to its default
    for place, parameter in enumerate(calls.parameters(function)):
        default = parameter.default
        if parameter.kind in _VARIADIC:
            continue
        if isinstance(default, Mark):
            positional = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
            if positional and skipped is not None:
                reasons.append(_unreachable(parameter.name, skipped))
            marked.append(MarkedParameter(parameter.name, default, positional))
            if shown := _reference(default.default):
                reasons.append(
                    f"would be given {shown} itself as {parameter.name!r}, where there is nothing "
                    "else: require that by a parameter of its own, and choose in the function"
                )
        elif default is not inspect.Parameter.empty:
            reason = _not_marked(parameter.name, default)
            reasons.extend([reason] if reason else [])
            skipped = skipped or parameter.name
        elif place == 0 and parameter.kind in _POSITIONAL:
            takes_lifetime = True
            reason = _not_a_lifetime(parameter.name, function)
            reasons.extend([reason] if reason else [])
        else:
            reasons.append(_no_default(parameter.name))
    return takes_lifetime


def _unreachable(name: str, skipped: str) -> str:
    return (
        f"takes {name!r} by position only, after {skipped!r}, which is left to its default: move "
        f"{name!r} before it, or behind the '/'"
    )


def _not_marked(name: str, default: object) -> str | None:
    for mark in (requires, requires_all, wants):
        if default is mark:
            verb = mark.__name__
            return f"has {verb} itself as the default of its parameter {name!r}: write {verb}(…)"
    if isinstance(default, Component):
        return (
            f"has a handle as the default of its parameter {name!r}, and would be given the handle "
            f"itself: write {name}=requires({default.name})"
        )
    return None


def _reference(given: Any) -> str:
    """What a message calls a mark, or a handle, that is where a value should be; else nothing."""
    # By its type: a value is handed on, and asked nothing. It may be a proxy, which would answer
    # for something else, or connect.
    if issubclass(type(given), Mark):
        return f"the mark {given!r}"
    return f"the handle of {given.name!r}" if issubclass(type(given), Component) else ""


def _no_default(name: str) -> str:
    return (
        f"has a parameter {name!r} without a default: write {name}=requires(…), or wants(…), so "
        "that it is known what to pass (only the first parameter may be without, the Lifetime)"
    )


def _not_a_lifetime(name: str, function: Any) -> str | None:
    """Say why the first parameter, which has no default, is clearly not the `Lifetime`."""
    known = calls.signature(function)
    annotation = known.parameters[name].annotation if known else inspect.Parameter.empty
    if annotation is inspect.Parameter.empty:
        if name in {"self", "cls"}:
            return (
                f"takes {name!r} first: it is a method that is not bound to anything. Declare the "
                "method of an instance"
            )
        return None
    if _may_be_lifetime(annotation, function):
        return None
    written = annotation if isinstance(annotation, str) else _written(annotation)
    return (
        f"has a first parameter '{name}: {written}' without a default, which is not the Lifetime: "
        f"was '= requires(…)' forgotten?"
    )


def _may_be_lifetime(annotation: Any, function: Any) -> bool:
    if isinstance(annotation, str):
        if "Lifetime" in annotation:
            return True
        annotation = _look_up(annotation, function)
    if annotation in (Any, object, Lifetime) or isinstance(annotation, typing.TypeVar):
        return True
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return any(_may_be_lifetime(argument, function) for argument in arguments)
    kind = origin or annotation
    if isinstance(kind, type):
        return issubclass(kind, Lifetime)
    return "Lifetime" in repr(annotation)  # such as a ForwardRef


def _look_up(text: str, function: Any) -> Any:
    """Find what an annotation that was not evaluated names, without evaluating anything."""
    first, *rest = text.partition("[")[0].strip().split(".")
    known = getattr(inspect.unwrap(function), "__globals__", {})
    found = known.get(first, getattr(builtins, first, None))
    for name in rest:
        found = getattr(found, name, None)
    return found


def _written(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
