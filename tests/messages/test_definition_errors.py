"""The exact text of everything that `plan` finds wrong: who, what, and what to do."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lifecycle
from lifecycle import Lifetime, Registry, requires, requires_all, wants
from lifecycle.errors import (
    CycleError,
    DefinitionError,
    DuplicateComponentError,
    InvalidComponentError,
    UnknownComponentError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = pytest.mark.rule("G1")

HERE = os.path.relpath(__file__)


class Pool:
    async def close(self) -> None:
        """Close."""


class Server:
    """Like grpc.aio.Server."""

    async def start(self) -> None:
        """Start."""

    async def stop(self, grace: float) -> None:
        """Stop."""


async def runs() -> None:
    """Run."""


def is_not_async() -> None:
    """Do nothing."""


async def generates() -> AsyncIterator[int]:
    """Yield."""
    yield 1


def needs_two(first: object, second: object) -> None:
    """Do nothing."""


def untyped(thing: Any) -> Any:
    """Hide a thing from type checkers, which would find the mistake."""
    return thing


def problem_of(registry: Registry) -> DefinitionError:
    """Give what `plan` raises."""
    with pytest.raises(DefinitionError) as raised:
        registry.plan()
    return raised.value


NOT_FILLED = (
    "{} that would be given {}(…) itself for its parameter {!r}: only the functions of component, "
    "build, service, main and made_by are filled in. {}"
)

# In what is expected, LINE is the line that declares.
CASES: dict[str, tuple[str, Callable[..., Any]]] = {
    # --- names
    "empty name": (
        f"'' at {HERE}:LINE has no usable name: `name=` takes a text",
        lambda shop: shop.component(bool, name=""),
    ),
    "name of another type": (
        f"'3' at {HERE}:LINE has no usable name: `name=` takes a text",
        lambda shop: shop.component(bool, name=3),
    ),
    "name of a lambda": (
        f"'<lambda>' at {HERE}:LINE has no name of its own: give it `name=`",
        lambda shop: shop.component(lambda: 1),
    ),
    # --- functions
    "not a function": (
        "'int' is declared with 3, which is not a function",
        lambda shop: shop.component(3),
    ),
    "forgotten parentheses": (
        "'str' is declared with 'pool', which is not a function",
        lambda shop: shop.component("pool"),
    ),
    "service that is not async": (
        "'is_not_async' is declared as a service, and is not async: write async def",
        lambda shop: shop.service(is_not_async),
    ),
    "main that is not async": (
        "'is_not_async' is declared as a main, and is not async: write async def",
        lambda shop: shop.main(is_not_async),
    ),
    "service that yields": (
        "'generates' is a generator: a service runs; what yields a value is a component",
        lambda shop: shop.service(generates),
    ),
    "asynccontextmanager": (
        (
            "'generates' is decorated with @contextmanager or @asynccontextmanager: remove that "
            "decorator (component takes the bare generator), or declare it with build, which "
            "enters it"
        ),
        lambda shop: shop.component(contextlib.asynccontextmanager(generates)),
    ),
    "generator that is built": (
        (
            "'generates' is a generator, of which nothing would run: declare the function with "
            "component, which starts up to the yield, and stops after it"
        ),
        lambda shop: shop.build(generates),
    ),
    "generator that is built, in a partial": (
        (
            "'a' is a generator, of which nothing would run: declare the function with component, "
            "which starts up to the yield, and stops after it"
        ),
        lambda shop: shop.build(functools.partial(a_generator), name="a", check=bool),
    ),
    "generator that is added": (
        (
            "'generator' is a generator, of which nothing would run: declare the function with "
            "component, which starts up to the yield, and stops after it"
        ),
        lambda shop: shop.add(a_generator()),
    ),
    "map of a function that does not take a value": (
        (
            "'one.is_not_async' is made by a function that does not take one value: too many "
            "positional arguments"
        ),
        lambda shop: shop.value(1, name="one").map(is_not_async),
    ),
    "map of no function": (
        "'one.int' is declared with 3, which is not a function",
        lambda shop: shop.value(1, name="one").map(3),
    ),
    # --- options
    "timeout of zero": (
        "'a' has start_timeout=0: it must be a number of seconds, more than 0",
        lambda shop: shop.component(bool, name="a", start_timeout=0),
    ),
    "timeout of another type": (
        "'a' has stop_timeout='1': it must be a number of seconds, more than 0",
        lambda shop: shop.component(bool, name="a", stop_timeout="1"),
    ),
    "timeout that is a bool": (
        "'a' has stop_timeout=True: it must be a number of seconds, more than 0",
        lambda shop: shop.component(bool, name="a", stop_timeout=True),
    ),
    "timeout that is not a number": (
        "'a' has drain_timeout=nan: it must be a number of seconds, 0 or more",
        lambda shop: shop.component(bool, name="a", drain_timeout=math.nan),
    ),
    "timeout that no float can hold": (
        f"'a' has stop_timeout={10**400}: it must be a number of seconds, more than 0",
        lambda shop: shop.component(bool, name="a", stop_timeout=10**400),
    ),
    "timeout without an end": (
        "'a' has drain_timeout=inf: it must be a number of seconds, 0 or more",
        lambda shop: shop.component(bool, name="a", drain_timeout=math.inf),
    ),
    "optional": (
        "'a' has optional='no': it must be True or False",
        lambda shop: shop.component(bool, name="a", optional="no"),
    ),
    "thread": (
        "'a' has thread=None: it must be True or False",
        lambda shop: shop.component(bool, name="a", thread=None),
    ),
    "on_return": (
        "'runs' has on_return='stop': it must be one of 'crash', 'ignore', 'shut_down'",
        lambda shop: shop.service(runs, on_return="stop"),
    ),
    "retry": (
        "'a' has retry=-1: it must be a whole number, 0 or more, a Retry, or None",
        lambda shop: shop.component(bool, name="a", retry=-1),
    ),
    "enabled": (
        "'a' has enabled='false', which is neither a bool nor a function",
        lambda shop: shop.component(bool, name="a", enabled="false"),
    ),
    "enabled that raises": (
        "'a' could not be asked whether it is enabled: is_down() raised ZeroDivisionError: no",
        lambda shop: shop.component(bool, name="a", enabled=is_down),
    ),
    # --- hooks
    "drain hook of a value": (
        f"'a' is a bare value, so it has nothing to drain (the drain hook is at {HERE}:LINE)",
        lambda shop: shop.value(1, name="a").drain(print),
    ),
    "drain hook of what is derived": (
        (
            "'a.str' is made by map(), so it has no life of its own to drain (the drain hook is at "
            f"{HERE}:LINE)"
        ),
        lambda shop: shop.value(1, name="a").map(str).drain(print),
    ),
    "drain hook of a service": (
        (
            "'runs' is a service, which drains by returning: let it take a Lifetime (the drain "
            "hook "
            f"is at {HERE}:LINE)"
        ),
        lambda shop: shop.service(runs).drain(print),
    ),
    "drain hook of a main": (
        f"'runs' is a main, which drains by ending (the drain hook is at {HERE}:LINE)",
        lambda shop: shop.main(runs).drain(print),
    ),
    "two drain hooks": (
        f"'a' has two drain hooks: at {HERE}:LINE and at {HERE}:LINE",
        lambda shop: shop.build(bool, name="a", drain=print).drain(print),
    ),
    "hook of what is built that takes no value": (
        "'a' has a stop hook that cannot be called with its value: too many positional arguments",
        lambda shop: shop.build(bool, name="a", stop=is_not_async),
    ),
    "hook of what is built that takes more": (
        (
            "'a' has a check hook that cannot be called with its value: missing a required "
            "argument: "
            "'second'"
        ),
        lambda shop: shop.build(bool, name="a", check=needs_two),
    ),
    "hook of what is added that takes something": (
        (
            "'Pool' has a stop hook that cannot be called without arguments: missing a required "
            "argument: 'self'"
        ),
        lambda shop: shop.add(Pool(), stop=Pool.close),
    ),
    "hook that is no function": (
        "'Pool' has a start hook that cannot be called without arguments: cannot be called",
        lambda shop: shop.add(Pool(), start=3),
    ),
    "check that takes no value": (
        "'a' has a check hook that cannot be called with its value: too many positional arguments",
        lambda shop: shop.component(bool, name="a").check(is_not_async),
    ),
    "hook of what is added that is a generator": (
        (
            "'Pool' has a stop hook that is a generator function, of which nothing would run: "
            "write it without yield"
        ),
        lambda shop: shop.add(Pool(), stop=a_generator),
    ),
    "drain hook that is a generator": (
        (
            "'a' has a drain hook that is a generator function, of which nothing would run: write "
            "it without yield"
        ),
        lambda shop: shop.component(bool, name="a").drain(lambda _: (yield)),
    ),
    "method of an object that is a generator": (
        (
            "'Generating' has a 'stop' that is a generator function, of which nothing would run: "
            "write it without yield"
        ),
        lambda shop: shop.add(Generating()),
    ),
    "map with an async function": (
        (
            "'b.is_async' is made by map() with a function that is async or a generator: it would "
            "be what that returns, and not its value. Declare it with component, and requires(…)"
        ),
        lambda shop: shop.value(1, name="b").map(is_async),
    ),
    "enabled that is async": (
        "'a' has enabled=is_async, which is async, and is asked where nobody waits",
        lambda shop: shop.component(bool, name="a", enabled=is_async),
    ),
    "check with a mark": (
        NOT_FILLED.format(
            "'a' has a check hook", "requires", "x", "Let 'a' require it, and keep it in its value"
        ),
        lambda shop: shop.component(bool, name="a").check(on_value()),
    ),
    "drain hook with a mark": (
        NOT_FILLED.format(
            "'a' has a drain hook", "wants", "x", "Let 'a' require it, and keep it in its value"
        ),
        lambda shop: shop.component(bool, name="a").drain(on_value(wants("b"))),
    ),
    "check of a value with a mark": (
        NOT_FILLED.format(
            "'a' has a check hook",
            "requires",
            "x",
            "Declare it with component, whose function can require that",
        ),
        lambda shop: shop.value(1, name="a").check(on_value()),
    ),
    "check of what is derived with a mark": (
        NOT_FILLED.format(
            "'a.bool' has a check hook",
            "requires",
            "x",
            "Declare it with component, whose function can require that",
        ),
        lambda shop: shop.value(1, name="a").map(bool).check(on_value()),
    ),
    "hook of what is built with a mark": (
        NOT_FILLED.format(
            "'a' has a stop hook",
            "requires_all",
            "x",
            "Let 'a' require it, and keep it in its value",
        ),
        lambda shop: shop.build(
            bool, name="a", stop=on_value(requires_all([Registry("other").value(1, name="b")]))
        ),
    ),
    "hook of what is built that is a method with a mark": (
        NOT_FILLED.format(
            "'a' has a start hook",
            "requires",
            "pool",
            "Let 'a' require it, and keep it in its value",
        ),
        lambda shop: shop.build(bool, name="a", start=Marked.start),
    ),
    "hook of what is added with a mark": (
        NOT_FILLED.format(
            "'Pool' has a start hook",
            "requires",
            "x",
            "Let the function of a `build` require it, and give it to the object",
        ),
        lambda shop: shop.add(Pool(), start=with_default(requires("b"))),
    ),
    "hook of what is added that is a bound method with a mark": (
        NOT_FILLED.format(
            "'Pool' has a stop hook",
            "requires",
            "pool",
            "Let the function of a `build` require it, and give it to the object",
        ),
        lambda shop: shop.add(Pool(), stop=Marked().start),
    ),
    "hook that is an object with a mark": (
        NOT_FILLED.format(
            "'Pool' has a drain hook",
            "requires",
            "pool",
            "Let the function of a `build` require it, and give it to the object",
        ),
        lambda shop: shop.add(Pool(), stop=bool, drain=MarkedCall()),
    ),
    "hook that is a partial with a mark by keyword": (
        NOT_FILLED.format(
            "'a' has a check hook",
            "requires",
            "second",
            "Let 'a' require it, and keep it in its value",
        ),
        lambda shop: shop.component(bool, name="a").check(
            functools.partial(needs_two, second=requires("b"))
        ),
    ),
    "hook that is a partial with a mark by position": (
        NOT_FILLED.format(
            "'a' has a check hook",
            "requires",
            "first",
            "Let 'a' require it, and keep it in its value",
        ),
        lambda shop: shop.component(bool, name="a").check(
            functools.partial(needs_two, requires("b"))
        ),
    ),
    "hook that is a partial of any arguments with a mark": (
        NOT_FILLED.format(
            "'a' has a check hook",
            "requires",
            "*args",
            "Let 'a' require it, and keep it in its value",
        ),
        lambda shop: shop.component(bool, name="a").check(
            functools.partial(takes_all, 1, requires("b"))
        ),
    ),
    "hook that is a partial with a mark by a name of its own": (
        NOT_FILLED.format(
            "'a' has a check hook",
            "requires",
            "other",
            "Let 'a' require it, and keep it in its value",
        ),
        lambda shop: shop.component(bool, name="a").check(
            functools.partial(takes_all, other=requires("b"))
        ),
    ),
    "hook with a mark by keyword only": (
        NOT_FILLED.format(
            "'a' has a check hook", "requires", "x", "Let 'a' require it, and keep it in its value"
        ),
        lambda shop: shop.component(bool, name="a").check(lambda _, *, x=requires("b"): x),
    ),
    "method of an object with a mark": (
        NOT_FILLED.format(
            "'Marked' has a 'start'",
            "requires",
            "pool",
            "Let the function of a `build` require it, and give it to the object",
        ),
        lambda shop: shop.add(Marked()),
    ),
    "map with a function with a mark": (
        NOT_FILLED.format(
            "'a.on_value' is made by map() with a function",
            "requires",
            "x",
            "Declare it with component, whose function can require that",
        ),
        lambda shop: shop.value(1, name="a").map(on_value()),
    ),
    "enabled with a mark": (
        NOT_FILLED.format(
            "'a' has enabled=<lambda>,",
            "requires",
            "x",
            "It is asked by plan(), where there are no values yet",
        ).replace(", that", ", which"),
        lambda shop: shop.component(bool, name="a", enabled=lambda x=requires("b"): x),
    ),
    # --- parameters
    "verb that was not called": (
        "'a' has requires itself as the default of its parameter 'x': write requires(…)",
        lambda shop: shop.component(with_default(requires), name="a"),
    ),
    "parameter without a default": (
        (
            "'a' has a parameter 'second' without a default: write second=requires(…), or "
            "wants(…), so "
            "that it is known what to pass (only the first parameter may be without, the Lifetime)"
        ),
        lambda shop: shop.component(needs_two, name="a"),
    ),
    "first parameter that is no Lifetime": (
        (
            "'a' has a first parameter 'pool: Pool' without a default, which is not the "
            "Lifetime: was "
            "'= requires(…)' forgotten?"
        ),
        lambda shop: shop.component(with_first_parameter(Pool), name="a"),
    ),
    "method that is not bound": (
        (
            "'close' takes 'self' first: it is a method that is not bound to anything. Declare the "
            "method of an instance"
        ),
        lambda shop: shop.service(method_of_a_class()),
    ),
    "mark in a partial": (
        (
            "'a' is a partial with a mark among its positional arguments, where it cannot be "
            "replaced "
            "by a value: pass it by keyword, as in partial(f, pool=requires(database))"
        ),
        lambda shop: shop.component(functools.partial(needs_one, requires("b")), name="a"),
    ),
    "handle as a default": (
        (
            "'a' has a handle as the default of its parameter 'x', and would be given the handle "
            "itself: write x=requires(b)"
        ),
        lambda shop: shop.component(with_default(shop.value(1, name="b")), name="a"),
    ),
    "mark as what is there instead": (
        (
            "'a' would be given the mark <requires('b')> itself as 'x', where there is nothing "
            "else: require that by a parameter of its own, and choose in the function"
        ),
        lambda shop: shop.component(with_default(wants("c", default=requires("b"))), name="a"),
    ),
    "handle as what is there instead": (
        (
            "'a' would be given the handle of 'b' itself as 'x', where there is nothing else: "
            "require that by a parameter of its own, and choose in the function"
        ),
        lambda shop: shop.component(
            with_default(wants("c", default=shop.value(1, name="b"))), name="a"
        ),
    ),
    "mark as a value": (
        (
            "'a' has the mark <requires('b')> as its value, and everybody would be given that "
            "itself: what depends on something is a function with requires(…)"
        ),
        lambda shop: shop.value(requires("b"), name="a"),
    ),
    "handle as a value": (
        (
            "'a' has the handle of 'b' as its value, and everybody would be given that itself: "
            "what depends on something is a function with requires(…)"
        ),
        lambda shop: shop.value(shop.value(1, name="b"), name="a"),
    ),
    "mark that cannot be reached": (
        (
            "'a' takes 'second' by position only, after 'first', which is left to its default: "
            "move "
            "'second' before it, or behind the '/'"
        ),
        lambda shop: shop.component(by_position, name="a"),
    ),
    # --- preflight
    "preflight check that takes something": (
        (
            f"'needs_two' is declared as a preflight check at {HERE}:LINE, and cannot be called "
            "without arguments: missing a required argument: 'first'"
        ),
        lambda shop: shop.preflight(needs_two),
    ),
    "preflight check that is a generator": (
        (
            f"'a_generator' is declared as a preflight check at {HERE}:LINE, and is a generator "
            "function, of which nothing would run: write it without yield"
        ),
        lambda shop: shop.preflight(a_generator),
    ),
    "preflight check with a mark": (
        (
            "'with_default.<locals>.a' is declared as a preflight check at "
            f"{HERE}:LINE, and would be given requires(…) itself for its parameter 'x': only the "
            "functions of component, build, service, main and made_by are filled in. It is called "
            "before all of them: what needs one belongs into a start"
        ),
        lambda shop: shop.preflight(with_default(requires("b"))),
    ),
    "preflight check that is no function": (
        (
            f"'3' is declared as a preflight check at {HERE}:LINE, and cannot be called without "
            "arguments: cannot be called"
        ),
        lambda shop: shop.preflight(3),
    ),
}


def is_down() -> bool:
    """Raise."""
    raise ZeroDivisionError("no")


def with_first_parameter(annotation: Any) -> Callable[..., int]:
    """Make a function whose first parameter has no default."""

    def a(pool: Any) -> int:
        return 1

    a.__annotations__["pool"] = annotation
    return a


def with_default(default: Any) -> Callable[..., int]:
    """Make a function whose parameter has a default."""

    def a(x: Any = default) -> int:
        return 1

    return a


def on_value(default: Any = requires("b")) -> Callable[..., Any]:
    """Make a function of a value that has a default besides."""

    def on_value(value: Any, x: Any = default) -> Any:
        return x

    return on_value


class Marked:
    """An object that has a mark where nothing is filled in."""

    def start(self, pool: object = requires("b")) -> None:
        """Start."""

    def stop(self) -> None:
        """Stop."""


class MarkedCall:
    """Likewise, one that is called itself."""

    def __call__(self, pool: object = requires("b")) -> None:
        """Do nothing."""


def takes_all(*args: object, **kwargs: object) -> None:
    """Take whatever there is."""


def method_of_a_class() -> Any:
    """Give a method that is bound to nothing."""
    return Pool.close


def a_generator() -> Iterator[None]:
    """Give a generator."""
    yield


async def is_async(_: object = None) -> bool:
    """Give a coroutine."""
    return True


class Generating:
    """An object with a stop of which nothing would run."""

    def stop(self) -> Iterator[None]:
        """Give a generator."""
        yield


def needs_one(pool: object) -> int:
    """Take one argument."""
    return 1


def by_position(first: int = 1, second: int = requires("b"), /) -> int:
    """Take arguments by position."""
    return 1


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_with_one_component(case: str) -> None:
    """Each mistake has a sentence that names the component and says what to do."""
    expected, declare = CASES[case]
    shop = Registry("shop")
    declare(shop)
    if "mark" in case:
        shop.value(1, name="b")
    error = problem_of(shop)
    line = declare.__code__.co_firstlineno
    assert expected.replace("LINE", str(line)) == str(error)
    assert InvalidComponentError is type(error)
    assert [] == getattr(error, "__notes__", [])


def test_the_cause_of_an_enabled_that_raises() -> None:
    """What the user's function raised is the cause."""
    shop = Registry("shop")
    shop.value(1, name="a", enabled=is_down)
    assert ZeroDivisionError is type(problem_of(shop).__cause__)


def test_marks_that_nothing_is_called_with() -> None:
    """A mark that stands where a value is passed, by the call or by a partial, is no error."""
    shop = Registry("shop")
    one = shop.value(1, name="one")
    one.check(with_default(requires(one)))
    one.check(functools.partial(on_value(requires(one)), x=2))
    one.map(with_default(requires(one)))
    one.check(untyped(max))  # which does not tell what it takes
    assert ["one", "one.a"] == [node.name for node in shop.plan().components]


@pytest.mark.parametrize(
    "annotation",
    [
        Lifetime,
        Lifetime[Pool],
        "Lifetime",
        "lifecycle.Lifetime[Pool]",
        "L",
        "short.Lifetime",
        Lifetime | None,
        Any,
        object,
    ],
    ids=str,
)
def test_what_may_be_a_lifetime(annotation: Any) -> None:
    """Whatever may be a Lifetime passes, evaluated or not, and under another name."""
    shop = Registry("shop")
    shop.component(with_first_parameter(annotation), name="a")
    assert shop.plan().components[0].takes_lifetime


L = Lifetime
short = lifecycle


@pytest.mark.parametrize(
    ("annotation", "written"),
    [(int, "int"), ("Pool", "Pool"), ("nowhere.Pool[int]", "nowhere.Pool[int]"), (None, "None")],
    ids=["class", "text", "text that names nothing", "none"],
)
def test_what_is_no_lifetime(annotation: Any, written: str) -> None:
    """What clearly is no Lifetime is a forgotten default."""
    shop = Registry("shop")
    shop.component(with_first_parameter(annotation), name="a")
    assert (
        f"'a' has a first parameter 'pool: {written}' without a default, which is not the "
        "Lifetime: was '= requires(…)' forgotten?"
    ) == str(problem_of(shop))


def test_a_first_parameter_without_an_annotation() -> None:
    """Without an annotation the first parameter is the Lifetime."""
    shop = Registry("shop")
    shop.component(lambda life: life and 1, name="a")
    assert shop.plan().components[0].takes_lifetime


def test_objects_without_a_life() -> None:
    """An object that neither starts nor stops, and one whose methods need arguments, is refused."""
    shop = Registry("shop")
    untyped(shop).add(Pool(), drain=bool)
    error = problem_of(shop)
    assert str(error).startswith("'Pool' is 'Pool', which has no hooks: ")
    other = Registry("other")
    untyped(other).add(Server())
    assert "'stop' that cannot be called without arguments" in str(problem_of(other))


def test_an_object_that_cannot_be_looked_at() -> None:
    """A property that raises is told, with its error as the cause."""

    class Broken:
        @property
        def start(self) -> None:
            raise ZeroDivisionError("no")

    shop = Registry("shop")
    untyped(shop).add(Broken())
    error = problem_of(shop)
    assert "'Broken' could not be looked at: ZeroDivisionError: no" == str(error)
    assert ZeroDivisionError is type(error.__cause__)


def test_unknown_names() -> None:
    """What is required and is nowhere is named, with what is known of it."""

    def error_of(registry: Registry) -> str:
        error = problem_of(registry)
        assert UnknownComponentError is type(error)
        return str(error)

    def web(registry: Registry, ref: Any) -> Registry:
        registry.component(lambda: 1, name="web", requires=ref)
        return registry

    shop = Registry("shop")
    shop.value(1, name="database")
    assert (
        "'web' requires 'databse', and no component has that name. Did you mean 'database'?"
    ) == error_of(web(shop, "databse"))

    assert "'web' requires 'wed', and no component has that name." == error_of(
        web(Registry("shop"), "wed")  # what it is called itself is not what it meant
    )

    assert "'web' requires 'x', and no component has that name." == error_of(
        web(Registry("shop"), "x")
    )

    prefixed, billing = Registry("shop"), Registry("billing")
    billing.value(1, name="invoices")
    prefixed.include(billing, prefix="billing")
    assert (
        "'web' requires 'invoices', and no component has that name. "
        "Did you mean 'billing.invoices'?"
    ) == error_of(web(prefixed, "invoices"))

    other = Registry("other").value(1, name="cache")
    assert (
        "'web' requires 'cache', and it belongs to the registry 'other', which is not a part of "
        "'shop': include() it there."
    ) == error_of(web(Registry("shop"), other))

    off = Registry("shop")
    cache = off.value(1, name="cache", enabled=lambda: False)
    assert "'web' requires 'cache', and it is not enabled." == error_of(web(off, cache))

    by_name = Registry("shop")
    by_name.value(1, name="cache", enabled=False)
    assert "'web' requires 'cache', and it is not enabled." == error_of(web(by_name, "cache"))

    derived = Registry("shop")
    length = derived.value("x", name="text", enabled=False).map(len)
    assert (
        "'web' requires 'text.len', and 'text', from which it is made, is absent: "
        "it is not enabled."
    ) == error_of(web(derived, length))


def test_duplicates() -> None:
    """Of two components of one name, both places are told."""
    shop = Registry("shop")
    first = Path(__file__).read_text(encoding="utf-8").splitlines().index("    # the first") + 2
    # the first
    shop.value(1, name="database")
    shop.value(2, name="database")
    error = problem_of(shop)
    assert DuplicateComponentError is type(error)
    assert (
        f"'database' is registered twice: at {HERE}:{first} and at {HERE}:{first + 1}. "
        "Give one of them another `name=`."
    ) == str(error)


def test_duplicates_at_one_place() -> None:
    """Two at the same line are a loop, or a module that was imported twice."""
    shop = Registry("shop")
    for number in (1, 2):
        shop.value(number, name="database")
    error = problem_of(shop)
    assert isinstance(error, DuplicateComponentError)
    assert (
        f"'database' is registered twice, both times at {error.first}. Give each its own `name=`; "
        "or, if the module was imported twice, as `__main__` and by its name, keep the registry "
        "in a module that the entry point imports."
    ) == str(error)


def test_circles() -> None:
    """A circle is told with its path, from dependent to dependency; one by itself, too."""
    shop = Registry("shop")
    shop.component(lambda: 1, name="web", requires="auth")
    shop.component(lambda: 1, name="auth", requires="cache")
    shop.component(lambda: 1, name="cache", requires="web")
    shop.component(lambda: 1, name="follows", requires="web")
    error = problem_of(shop)
    assert isinstance(error, CycleError)
    assert "components require each other in a circle: web -> auth -> cache -> web" == str(error)
    assert ("web", "auth", "cache", "web") == error.path

    itself = Registry("shop")
    itself.component(lambda: 1, name="web", requires="web")
    assert "'web' requires itself" == str(problem_of(itself))


@pytest.mark.parametrize(
    ("of_web", "of_auth", "said"),
    [
        ("requires", "requires", "require each other"),
        ("wants", "wants", "want each other"),
        ("after", "after", "start after each other"),
        ("requires", "wants", "depend on each other"),
        ("wants", "after", "depend on each other"),
    ],
)
def test_circles_of_what_is_not_required(of_web: str, of_auth: str, said: str) -> None:
    """A circle is called what it is made of."""
    shop = Registry("shop")
    untyped(shop).component(lambda: 1, name="web", **{of_web: "auth"})
    untyped(shop).component(lambda: 1, name="auth", **{of_auth: "web"})
    assert f"components {said} in a circle: web -> auth -> web" == str(problem_of(shop))


@pytest.mark.parametrize(
    ("option", "said"), [("wants", "wants itself"), ("after", "starts after itself")]
)
def test_circles_of_one(option: str, said: str) -> None:
    """So is a circle of one."""
    shop = Registry("shop")
    untyped(shop).component(lambda: 1, name="web", **{option: "web"})
    assert f"'web' {said}" == str(problem_of(shop))


def test_requiring_what_is_optional() -> None:
    """What is not optional cannot require what is, directly or in a list."""
    shop = Registry("shop")
    cache = shop.component(lambda: 1, name="cache", optional=True)
    other = shop.value(1, name="other")

    @shop.component
    def web(caches: Any = requires_all([other, cache])) -> int:
        return 1

    error = problem_of(shop)
    assert InvalidComponentError is type(error)
    assert (
        "'web' requires 'cache', which is optional: let it want 'cache', or be optional too"
    ) == str(error)


def test_registries_that_include_each_other() -> None:
    """A circle of registries is told with its path."""
    shop, billing = Registry("shop"), Registry("billing")
    shop.include(billing)
    billing.include(shop.without(), prefix="again")
    assert ("registries include each other in a circle: shop -> billing -> shop -> shop") == str(
        problem_of(shop)
    )
    itself = Registry("itself")
    itself.include(itself)
    assert "registries include each other in a circle: itself -> itself" == str(problem_of(itself))


def test_two_prefixes() -> None:
    """A registry under two prefixes is told with both, and where they are given."""
    shop, billing = Registry("shop"), Registry("billing")
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    first = lines.index("    # the prefixes") + 2
    # the prefixes
    shop.include(billing, prefix="a")
    shop.include(billing, prefix="b")
    assert (
        f"the registry 'billing' is included under two prefixes: 'a' at {HERE}:{first}, and 'b' at "
        f"{HERE}:{first + 1}. However many paths lead to a registry, it is one, so its components "
        "have one name"
    ) == str(problem_of(shop))


def test_two_prefixes_through_a_copy() -> None:
    """The same holds where one of the two paths leads through a changed copy."""
    shop, billing = Registry("shop"), Registry("billing")
    billing.value(1, name="pool")
    shop.include(billing, prefix="a")
    shop.include(billing.without(), prefix="b")
    assert (
        "the registry 'billing' is included under two prefixes: 'a', and 'b'. However many paths "
        "lead to a registry, it is one, so its components have one name"
    ) == str(problem_of(shop))


def test_an_override_twice_at_once() -> None:
    """A component that is overridden twice in one call is overridden by mistake."""
    shop = Registry("shop")
    pool = shop.value(1, name="pool")
    error = problem_of(shop.override(pool.to(1), pool.to(2)))
    assert "'pool' is overridden twice at once" == str(error)


def test_everything_is_told_at_once() -> None:
    """The first thing that is wrong is raised, and the others are notes on it."""
    shop = Registry("shop")
    shop.component(is_not_async, name="a", start_timeout=-1)
    shop.component(is_not_async, name="b", requires=["b", "x"])
    error = problem_of(shop)
    assert "'a' has start_timeout=-1: it must be a number of seconds, more than 0" == str(error)
    assert [
        "also: UnknownComponentError: 'b' requires 'x', and no component has that name.",
        "also: CycleError: 'b' requires itself",
    ] == untyped(error).__notes__


def test_many_misspelt_names_are_told_in_time() -> None:
    """Like names are looked for a few times only: in a large plan that takes long."""
    shop = Registry("shop")
    for number in range(3_000):
        shop.component(lambda: 1, name=f"component {number}", requires=f"componant {number}")
    error = problem_of(shop)
    assert 2_999 == len(untyped(error).__notes__)
    assert "Did you mean" in str(error)


def test_iterators_are_no_functions() -> None:
    """A generator that was called already is not a function."""
    shop = Registry("shop")

    def pool() -> Iterator[int]:
        yield 1

    untyped(shop).component(pool(), name="pool")
    assert str(problem_of(shop)).startswith("'pool' is declared with <generator object ")
