"""What each verb declares, as the plan has it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from lifecycle import Lifetime, Registry, Retry, requires, wants
from lifecycle._core.component import Check, Kind, Node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

HERE = Path(__file__)


def only_node(shop: Registry) -> Node:
    """Give the one component that there is."""
    (node,) = shop.plan().components
    return node


def untyped(function: Any) -> Any:
    """Hide a function from type checkers, which would find the mistake."""
    return function


class Thing:
    async def start(self) -> None:
        """Start."""

    async def ping(self) -> bool:
        return True

    async def close(self) -> None:
        """Close."""


def test_component() -> None:
    """A function is declared under its own name, and runs in a thread if it is not async."""
    shop = Registry("shop")

    def config() -> int:
        return 3

    handle = shop.component(config)
    node = only_node(shop)
    assert ("config", Kind.FUNCTION, config, handle) == (
        node.name,
        node.kind,
        node.function,
        node.handle,
    )
    assert (0, True, False, False, ()) == (
        node.index,
        node.thread,
        node.takes_lifetime,
        node.enter,
        node.dependencies,
    )


def test_options() -> None:
    """What is said by keywords is what the plan has."""
    shop = Registry("shop")
    shop.component(
        name="a",
        optional=True,
        start_timeout=1,
        drain_timeout=0,
        stop_timeout=2.5,
        retry=2,
        thread=False,
    )(lambda: 1)
    node = only_node(shop)
    assert ("a", True, 1, 0, 2.5, Retry(2), False) == (
        node.name,
        node.optional,
        node.start_timeout,
        node.drain_timeout,
        node.stop_timeout,
        node.retry,
        node.thread,
    )


def test_defaults_of_options() -> None:
    """What is not said is left to the settings."""
    shop = Registry("shop")
    shop.value(1, name="a")
    node = only_node(shop)
    assert (False, None, None, None, None, True, "crash") == (
        node.optional,
        node.start_timeout,
        node.drain_timeout,
        node.stop_timeout,
        node.retry,
        node.thread,
        node.on_return,
    )


def test_where_it_was_declared() -> None:
    """A node knows the file and line of its declaration, by whichever verb."""
    shop = Registry("shop")
    line = Path(__file__).read_text(encoding="utf-8").splitlines().index("    # here") + 1
    # here
    first = shop.value(1, name="value")
    shop.add(Thing(), name="added", stop=Thing().close)
    shop.component(name="component")(lambda: 1)
    first.map(str)
    places = [node.declared_at.rpartition("/")[2] for node in shop.plan().components]
    assert [f"{HERE.name}:{line + number}" for number in (1, 2, 3, 4)] == places


@pytest.mark.parametrize("module", ["__main__", "app", "shop", "lifecycle_of_shop"])
def test_a_declaration_is_of_whoever_called(module: str) -> None:
    """Whatever the module is called, it is not taken for a part of this package."""
    shop = Registry("shop")
    source = 'shop.value(1, name="value")'
    exec(compile(source, f"/{module}.py", "exec"), {"__name__": module, "shop": shop})  # noqa: S102
    assert f"/{module}.py:1" == only_node(shop).declared_at


def test_build() -> None:
    """The hooks of what is built are called with it."""
    shop = Registry("shop")

    @shop.build(start=Thing.start, drain=Thing.close, stop=Thing.close, check=Thing.ping)
    def thing() -> Thing:
        return Thing()

    node = only_node(shop)
    assert Kind.BUILD is node.kind
    assert (Thing.start, Thing.close, Thing.close, True) == (
        node.hooks.start,
        node.hooks.drain,
        node.hooks.stop,
        node.hooks.take_value,
    )
    assert [(Thing.ping, True, False)] == [attrs.astuple(check) for check in node.hooks.checks]
    assert thing.name == "thing"


def test_add() -> None:
    """The hooks of an object that is added are called without arguments."""
    shop = Registry("shop")
    thing = Thing()
    handle = shop.add(thing, start=thing.start, stop=thing.close, check=thing.ping)
    node = only_node(shop)
    assert ("Thing", Kind.OBJECT, thing) == (node.name, node.kind, node.value)
    assert (thing.start, None, thing.close, False) == (
        node.hooks.start,
        node.hooks.drain,
        node.hooks.stop,
        node.hooks.take_value,
    )
    assert [(thing.ping, False, False)] == [attrs.astuple(check) for check in node.hooks.checks]
    assert handle.name == "Thing"


def test_add_takes_methods_and_context_managers() -> None:
    """An object is fine with a start, with a stop, or as a context manager of either colour."""
    shop = Registry("shop")

    class Stops:
        def stop(self) -> None:
            """Stop."""

    class Entered:
        async def __aenter__(self) -> int:
            return 1

        async def __aexit__(self, *_: object) -> None:
            """Leave."""

    shop.add(Thing())
    shop.add(Stops())
    shop.add(Entered())
    with HERE.open(encoding="utf-8") as file:
        shop.add(file, name="file")
        nodes = shop.plan().components
    assert ["Thing", "Stops", "Entered", "file"] == [node.name for node in nodes]
    assert [None] * 4 == [node.hooks.start or node.hooks.stop for node in nodes]


def test_a_drain_that_takes_the_value_of_an_added_object() -> None:
    """`@c.drain` takes the value also where the other hooks take nothing."""
    shop = Registry("shop")
    thing = Thing()
    handle = shop.add(thing, stop=thing.close)
    drained: list[Thing] = []
    handle.drain(drained.append)
    node = only_node(shop)
    assert node.hooks.drain is not None
    arguments = (node.value,) if node.hooks.take_value else ()
    node.hooks.drain(*arguments)
    assert [thing] == drained
    assert node.hooks.take_value is False


def test_value() -> None:
    """A bare value is what it is, whatever methods it has."""
    shop = Registry("shop")
    thing = Thing()
    shop.value(thing, name="bare")
    node = only_node(shop)
    assert ("bare", Kind.VALUE, thing) == (node.name, node.kind, node.value)


def test_service_and_main() -> None:
    """What runs knows whether it takes a Lifetime, and what its return means."""
    shop = Registry("shop")

    @shop.service(on_return="ignore")
    async def with_lifetime(life: Lifetime) -> None:
        """Run."""

    @shop.service
    async def without() -> None:
        """Run."""

    @shop.main
    async def nightly(life: Lifetime) -> int:
        return 0

    expected = [
        (Kind.SERVICE, True, "ignore"),
        (Kind.SERVICE, False, "crash"),
        (Kind.MAIN, True, "crash"),
    ]
    nodes = shop.plan().components
    assert expected == [(node.kind, node.takes_lifetime, node.on_return) for node in nodes]


@pytest.mark.parametrize("verb", ["service", "main"])
def test_what_runs_may_be_wrapped(verb: str) -> None:
    """A service is async also as a partial, a method, a callable object, or a wrapper."""
    shop = Registry("shop")

    class Worker:
        async def run(self) -> None:
            """Run."""

        async def __call__(self) -> None:
            """Run."""

    async def plain(number: int) -> None:
        """Run."""

    @functools.wraps(plain)
    def wrapper(*args: int) -> Any:
        return plain(*args)

    declare = getattr(shop, verb)
    declare(functools.partial(plain, 1))
    declare(Worker().run)
    declare(Worker())
    declare(functools.partial(wrapper, 1), name="wrapper")
    assert ["plain", "run", "Worker", "wrapper"] == [node.name for node in shop.plan().components]


def test_names() -> None:
    """The default name is that of the function or class, looked for behind a partial."""
    shop = Registry("shop")

    def function(a: int = 1) -> int:
        return a

    class Callable:
        def __call__(self) -> int:
            return 1

    shop.component(functools.partial(functools.partial(function), a=2))
    shop.component(Thing)
    shop.component(Callable())
    assert ["function", "Thing", "Callable"] == [node.name for node in shop.plan().components]


def test_functions_are_not_touched() -> None:
    """`handle.function` is the bare function; values have none."""
    shop = Registry("shop")

    def config(number: int = 3) -> int:
        return number

    assert config is shop.component(config).function
    assert str is shop.component(config, name="other").map(str).function
    with pytest.raises(AttributeError, match="'v' was declared with a value, not with a function"):
        _ = shop.value(1, name="v").function


def test_representations() -> None:
    """A handle, a registry and a mark say what they are, where they turn up by mistake."""
    shop = Registry("shop")
    one = shop.value(1, name="one")
    assert "<Registry 'shop'>" == repr(shop)
    assert "<Component 'one' of 'shop'>" == repr(one)
    assert ("one", "shop", "shop") == (one.name, one.registry, shop.name)
    assert "<requires('one')>" == repr(requires(one))
    assert "<wants('two')>" == repr(wants("two"))


def test_drain_and_check() -> None:
    """A component has one drain and as many checks as it likes, some of which ask for liveness."""
    shop = Registry("shop")

    @shop.component
    async def pool() -> AsyncIterator[int]:
        yield 1

    def first(pool: int) -> bool:
        return True

    def second(pool: int) -> bool:
        return True

    async def drain(pool: int) -> None:
        """Drain."""

    assert first is pool.check(first)
    assert second is pool.check(liveness=True)(second)
    assert drain is pool.drain(drain)
    hooks = only_node(shop).hooks
    assert (drain, True) == (hooks.drain, hooks.take_value)
    checks = [Check(first), Check(second, liveness=True)]
    assert [attrs.astuple(check) for check in checks] == [
        attrs.astuple(check) for check in hooks.checks
    ]


def test_map() -> None:
    """What `map` makes requires its source, is as optional, and has a name of its own."""
    shop = Registry("shop")
    engine = shop.build(name="engine", optional=True, stop=print)(Thing)
    first, second = engine.map(str), engine.map(str)
    named = first.map(len, name="length")
    assert ["engine.str", "engine.str#2", "length"] == [first.name, second.name, named.name]
    nodes = shop.plan().components
    expected = [
        ("engine", Kind.BUILD, (), True),
        ("engine.str", Kind.DERIVED, (0,), True),
        ("engine.str#2", Kind.DERIVED, (0,), True),
        ("length", Kind.DERIVED, (1,), True),
    ]
    assert expected == [(node.name, node.kind, node.requires, node.optional) for node in nodes]
    assert [len, str] == [nodes[3].function, nodes[2].function]


def test_map_may_be_checked() -> None:
    """A derived value, too, can have checks."""
    shop = Registry("shop")
    shop.value(1, name="one").map(str).check(bool)
    assert 1 == len(shop.plan().components[1].hooks.checks)


@pytest.mark.rule("G1")
def test_no_function_is_called() -> None:
    """Declaring and planning call nothing but what is asked whether it is enabled."""
    shop = Registry("shop")
    called: list[str] = []

    def life(*_: object) -> Iterator[None]:
        called.append("life")
        yield

    def hook(*_: object) -> None:
        called.append("hook")

    def enabled() -> bool:
        called.append("enabled")
        return True

    a = shop.component(life, name="a", enabled=enabled)
    shop.build(name="b", start=hook, stop=hook)(lambda: 1)
    shop.add(3, name="c", start=hook, check=hook)
    a.check(hook)
    a.map(hook)
    shop.preflight(hook)
    shop.plan()
    assert ["enabled"] == called
    shop.plan()
    assert ["enabled", "enabled"] == called


def test_a_plan_is_a_snapshot() -> None:
    """What is declared later is in the next plan."""
    shop = Registry("shop")
    first = shop.value(1, name="first")
    before = shop.plan()
    first.map(str)
    first.check(bool)
    assert [1, 2] == [len(before.components), len(shop.plan().components)]
    assert () == before.components[0].hooks.checks


def test_an_empty_registry() -> None:
    """A registry in which nothing is declared has a plan: the program may come later."""
    plan = Registry("empty").plan()
    assert ((), (), (), 0.0, 0.0) == (
        plan.components,
        plan.checks,
        plan.critical_path,
        plan.worst_start,
        plan.worst_shutdown,
    )


def test_preflight_checks() -> None:
    """Checks are in the plan in the order of registration, each once."""
    shop = Registry("shop")

    class Check:
        async def __call__(self) -> None:
            """Look."""

    check = Check()

    @shop.preflight
    def first() -> None:
        """Look."""

    assert check is shop.preflight(check)
    shop.preflight(first)
    assert (first, check) == shop.plan().checks


@pytest.mark.parametrize(
    ("message", "declare"),
    [
        pytest.param(
            "component() got an unexpected keyword argument 'start_timout'. "
            "Did you mean 'start_timeout'?",
            lambda shop: shop.component(start_timout=1),
            id="misspelt",
        ),
        pytest.param(
            "main() got an unexpected keyword argument 'on_return'",
            lambda shop: shop.main(lambda: None, on_return="crash"),
            id="of a service",
        ),
        pytest.param(
            "requires() takes a component, or the name of one, not 3",
            lambda _: untyped(requires)(3),
            id="requires",
        ),
        pytest.param(
            "wants() takes a component, or the name of one, not <class 'int'>. "
            "Was it declared, as with @registry.component?",
            lambda _: untyped(wants)(int),
            id="wants a function",
        ),
        pytest.param(
            "after= takes a component, or the name of one, not 3",
            lambda shop: shop.component(int, after=3),
            id="after",
        ),
        pytest.param(
            "requires= takes a component, or the name of one, not <class 'int'>. "
            "Was it declared, as with @registry.component?",
            lambda shop: shop.add(Thing(), requires=["x", int]),
            id="requires a function among others",
        ),
        pytest.param(
            "include() takes a Registry, not 3", lambda shop: shop.include(3), id="include"
        ),
        pytest.param(
            "include() takes a text as prefix, not 3",
            lambda shop: shop.include(Registry("x"), prefix=3),
            id="prefix",
        ),
        pytest.param(
            "override() takes component.to(…) or component.made_by(…), not 3",
            lambda shop: shop.override(3),
            id="override",
        ),
        pytest.param(
            "only() takes a component, or the name of one, not 3",
            lambda shop: shop.only(3),
            id="only",
        ),
    ],
)
def test_wrong_arguments(message: str, declare: Any) -> None:
    """What is no declaration at all is a TypeError where it stands."""
    shop = Registry("shop")
    with pytest.raises(TypeError) as raised:
        declare(shop)
    assert message == str(raised.value)
