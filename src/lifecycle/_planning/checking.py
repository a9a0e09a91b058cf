"""What can be wrong with one declaration, whatever the others are."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

from lifecycle._core import calls
from lifecycle._core.component import Check, Hooks, Kind
from lifecycle._engine.hooks import FROM_BUILD, GENERATOR, YIELDS, hooks_of, not_filled
from lifecycle.errors import InvalidComponentError, SettingsError
from lifecycle.settings import Retry
from lifecycle.settings.durations import Seconds, as_float

if TYPE_CHECKING:
    from lifecycle._core.declaration import Declaration, GivenHook, Preflight
    from lifecycle._planning.names import Entry
    from lifecycle._planning.problems import Problems
    from lifecycle._planning.reading import Readings

_WITHOUT_DRAIN: Final = {
    Kind.VALUE: "is a bare value, so it has nothing to drain",
    Kind.DERIVED: "is made by map(), so it has no life of its own to drain",
    Kind.MAIN: "is a main, which drains by ending",
    Kind.SERVICE: "is a service, which drains by returning: let it take a Lifetime",
}
_DECORATED: Final = (
    "is decorated with @contextmanager or @asynccontextmanager: remove that decorator (component "
    "takes the bare generator), or declare it with build, which enters it"
)
_NO_VALUE: Final = (
    "is made by map() with a function that is async or a generator: it would be what that returns, "
    "and not its value. Declare it with component, and requires(…)"
)
_BEFORE_ALL: Final = "It is called before all of them: what needs one belongs into a start"
_FROM_FUNCTION: Final = "Declare it with component, whose function can require that"
_NO_HOOKS: Final = Hooks()
_ON_RETURN: Final = ("crash", "ignore", "shut_down")


def check(entry: Entry, readings: Readings, problems: Problems) -> Hooks:
    """Find what is wrong with a declaration; returns its hooks, as the plan has them."""
    declaration, name = entry.declaration, entry.name
    if not isinstance(declaration.name, str) or not declaration.name.strip():
        reason = f"at {problems.place(declaration.where)} has no usable name: `name=` takes a text"
        problems.invalid(str(declaration.name), reason)
    elif declaration.name == "<lambda>":
        reason = f"at {problems.place(declaration.where)} has no name of its own: give it `name=`"
        problems.invalid(name, reason)
    for reason in _wrong_function(declaration) or readings.of(declaration).reasons:
        problems.invalid(name, reason)
    _check_options(declaration, name, problems)
    return _check_hooks(declaration, name, problems)


def check_preflight(preflight: Preflight, problems: Problems) -> None:
    """Find what is wrong with a preflight check."""
    problem = calls.cannot_take(preflight.check, 0)
    if problem:
        problem = f"cannot be called without arguments: {problem}"
    elif calls.is_generator(preflight.check):
        problem = GENERATOR
    elif marked := not_filled(preflight.check, 0):
        problem = f"{marked}. {_BEFORE_ALL}"
    if problem:
        who = getattr(preflight.check, "__qualname__", repr(preflight.check))
        at = problems.place(preflight.where)
        problems.invalid(who, f"is declared as a preflight check at {at}, and {problem}")


def retry_of(declaration: Declaration) -> Retry | None:
    """Make a `Retry` of what was given, which has been checked before."""
    try:
        return Retry.of(declaration.options.get("retry"))
    except SettingsError:
        return None


def _wrong_function(declaration: Declaration) -> list[str]:
    kind, function = declaration.kind, declaration.function
    if kind in (Kind.VALUE, Kind.OBJECT):
        return []
    if not callable(function):
        return [f"is declared with {function!r}, which is not a function"]
    if kind is Kind.DERIVED:
        return _wrong_map(function)
    if kind is Kind.FUNCTION and not declaration.enter and calls.is_context_manager(function):
        return [_DECORATED]
    if kind in (Kind.SERVICE, Kind.MAIN):
        return _wrong_service(kind, function)
    return [YIELDS] if kind is Kind.BUILD and _builds_generator(declaration) else []


def _builds_generator(declaration: Declaration) -> bool:
    """Whether what is built is a generator that has no other life; as far as it can be seen."""
    if any(hook.which in ("start", "stop") for hook in declaration.hooks):
        return False
    # One that is wrapped is left alone: what it is decorated with may make an object of it.
    function = declaration.function
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _wrong_map(function: Any) -> list[str]:
    problem = calls.cannot_take(function, 1)
    if problem:
        return [f"is made by a function that does not take one value: {problem}"]
    if calls.is_async(function) or calls.is_generator(function):
        return [_NO_VALUE]
    marked = not_filled(function, 1)
    return [f"is made by map() with a function that {marked}. {_FROM_FUNCTION}"] if marked else []


def _wrong_service(kind: Kind, function: Any) -> list[str]:
    if calls.is_generator(function):
        return [f"is a generator: a {kind.value} runs; what yields a value is a component"]
    if calls.is_async(function) is False:
        return [f"is declared as a {kind.value}, and is not async: write async def"]
    return []


def _check_options(declaration: Declaration, name: str, problems: Problems) -> None:
    options = declaration.options
    for option in ("start_timeout", "drain_timeout", "stop_timeout"):
        seconds = options.get(option)
        rule = Seconds(zero=option == "drain_timeout")
        if seconds is not None and not rule.allows(as_float(seconds)):
            problems.invalid(name, f"has {option}={seconds!r}: it must be {rule.expected}")
    for option in ("optional", "thread"):
        if not isinstance(options.get(option, True), bool):
            problems.invalid(name, f"has {option}={options[option]!r}: it must be True or False")
    on_return = options.get("on_return", "crash")
    if on_return not in _ON_RETURN:
        allowed = ", ".join(map(repr, _ON_RETURN))
        problems.invalid(name, f"has on_return={on_return!r}: it must be one of {allowed}")
    try:
        Retry.of(options.get("retry"))
    except SettingsError as error:
        problems.invalid(name, f"has retry={options['retry']!r}: it must be {error.expected}")


def _check_hooks(declaration: Declaration, name: str, problems: Problems) -> Hooks:
    if not declaration.hooks and declaration.kind is not Kind.OBJECT:
        return _NO_HOOKS
    given: dict[str, GivenHook] = {}
    checks: list[Check] = []
    good = [hook for hook in declaration.hooks if _is_good(hook, declaration, name, problems)]
    for hook in good:
        if hook.which == "check":
            checks.append(Check(hook.function, hook.takes_value, hook.liveness))
        elif hook.which in given:
            at = problems.place
            places = f"at {at(given[hook.which].where)} and at {at(hook.where)}"
            problems.invalid(name, f"has two {hook.which} hooks: {places}")
        else:
            given[hook.which] = hook
    functions = {which: hook.function for which, hook in given.items()}
    take_value = all(hook.takes_value for hook in given.values())
    if not take_value and "drain" in given and given["drain"].takes_value:
        # `@c.drain` beside hooks that were given to `add`: then the object itself is the value.
        functions["drain"] = functools.partial(functions["drain"], declaration.value)
    hooks = Hooks(**functions, take_value=take_value, checks=tuple(checks))
    if declaration.kind is Kind.OBJECT and len(good) == len(declaration.hooks):
        _check_object(declaration, name, hooks, problems)
    return hooks


def _is_good(hook: GivenHook, declaration: Declaration, name: str, problems: Problems) -> bool:
    if hook.which == "drain" and declaration.kind in _WITHOUT_DRAIN:
        at = problems.place(hook.where)
        problems.invalid(name, f"{_WITHOUT_DRAIN[declaration.kind]} (the drain hook is at {at})")
        return False
    problem = calls.cannot_take(hook.function, int(hook.takes_value))
    if problem:
        what = "with its value" if hook.takes_value else "without arguments"
        problems.invalid(name, f"has a {hook.which} hook that cannot be called {what}: {problem}")
    elif calls.is_generator(hook.function):
        problem = GENERATOR
        problems.invalid(name, f"has a {hook.which} hook that {problem}")
    elif problem := not_filled(hook.function, int(hook.takes_value)):
        what_to_do = _how_to_fill(declaration.kind, name)
        problems.invalid(name, f"has a {hook.which} hook that {problem}. {what_to_do}")
    return not problem


def _how_to_fill(kind: Kind, name: str) -> str:
    if kind is Kind.OBJECT:
        return FROM_BUILD
    if kind in (Kind.VALUE, Kind.DERIVED):
        return _FROM_FUNCTION
    return f"Let {name!r} require it, and keep it in its value"


def _check_object(declaration: Declaration, name: str, hooks: Hooks, problems: Problems) -> None:
    try:
        hooks_of(name, declaration.value, hooks)
    except InvalidComponentError as error:
        problems.add(error)
    except Exception as error:  # noqa: BLE001  a property of the user's, whatever it raises
        problems.invalid(name, f"could not be looked at: {type(error).__name__}: {error}", error)
