"""What handles and names stand for: requires, wants and after, in parameters and by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from lifecycle import Plan, Registry, requires, requires_all, wants
from lifecycle.errors import DefinitionError, InvalidComponentError, UnknownComponentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._core.component import Node


def names(plan: Plan) -> list[str]:
    """Give the names of all components, in order."""
    return [node.name for node in plan.components]


def edges(plan: Plan) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Give what each requires, wants and comes after, by name, where it is anything."""
    all_names = names(plan)

    def named(indices: Sequence[int]) -> list[str]:
        return [all_names[index] for index in indices]

    return {
        node.name: (named(node.requires), named(node.wants), named(node.after))
        for node in plan.components
        if node.dependencies
    }


def node_of(plan: Plan, name: str) -> Node:
    """Find a component."""
    return next(node for node in plan.components if node.name == name)


def test_parameters() -> None:
    """A marked parameter is filled from its targets, or by its default; others are left alone."""
    shop = Registry("shop")
    one, two = shop.value(1, name="one"), shop.value(2, name="two")
    off = shop.value(3, name="off", enabled=False)

    @shop.component
    def everything(  # noqa: PLR0913  one of each
        first: int = requires(one),
        /,
        second: int | None = wants(two),
        third: int = 3,
        *,
        numbers: Sequence[int] = requires_all([two, one]),
        absent: str | int = wants(off, default="none"),
        ghost: Any = wants("ghost"),
        nothing: Sequence[int] = requires_all([]),
    ) -> int:
        return 0

    plan = shop.plan()
    assert [
        ("first", "requires", (0,), None, True),
        ("second", "wants", (1,), None, False),
        ("numbers", "requires_all", (1, 0), None, False),
        ("absent", "wants", (), "none", False),
        ("ghost", "wants", (), None, False),
        ("nothing", "requires_all", (), None, False),
    ] == [attrs.astuple(parameter) for parameter in plan.components[2].parameters]
    assert {"everything": (["one", "two"], ["two"], [])} == edges(plan)


@pytest.mark.rule("G3")
def test_keywords() -> None:
    """Keywords take a handle, a name, or any number of both, and add to the parameters."""
    shop = Registry("shop")
    handles = [shop.value(number, name=f"v{number}") for number in range(6)]

    @shop.component(requires=(handle for handle in handles[1:3]), wants="v3", after=handles[4])
    def a(v: int = requires(handles[0])) -> int:
        return 0

    shop.add(3, name="b", start=int, requires="v5", wants=["v4", handles[4]], after={"v3": 1})
    expected = {
        "a": (["v0", "v1", "v2"], ["v3"], ["v4"]),
        "b": (["v5"], ["v4"], ["v3"]),
    }
    assert expected == edges(shop.plan())
    assert expected == edges(shop.plan())  # a generator was not used up by the first plan


def test_each_dependency_once() -> None:
    """What is named in several ways is one dependency, in the order in which it came first."""
    shop = Registry("shop")
    one, two = shop.value(1, name="one"), shop.value(2, name="two")

    @shop.component(requires=["one", one], wants=one, after=[one, two])
    def a(two: int = requires(two), one: int = requires(one)) -> int:
        return 0

    node = node_of(shop.plan(), "a")
    assert ((1, 0), (0,), (0, 1)) == (node.requires, node.wants, node.after)
    assert (1, 0) == node.dependencies


@pytest.mark.parametrize("reference", ["handle", "name"])
@pytest.mark.parametrize("reason", ["not enabled", "asked", "without", "only", "not included"])
def test_what_is_absent_may_be_wanted(reference: str, reason: str) -> None:
    """Wanting, or coming after, what is absent is no error, for whichever reason it is absent."""
    shop, other = Registry("shop"), Registry("other")
    home = other if reason == "not included" else shop
    enabled: Any = {"not enabled": False, "asked": lambda: False}.get(reason, True)
    cache = home.value(1, name="cache", enabled=enabled)
    ref: Any = cache if reference == "handle" else "cache"

    @shop.component(wants=ref, after=[ref, "nobody"])
    def web(cache: object = wants(ref, default="none")) -> int:
        return 0

    if reason == "without":
        shop = shop.without(ref)
    elif reason == "only":
        shop = shop.only(web)
    (node,) = shop.plan().components
    assert ((), [("none", ())]) == (
        node.dependencies,
        [(parameter.default, parameter.targets) for parameter in node.parameters],
    )


def test_names_are_looked_up_outwards() -> None:
    """A name is that of the own registry first, then of the ones around it, never of one inside."""
    outer, middle, inner = Registry("outer"), Registry("middle"), Registry("inner")
    for number, (registry, taken) in enumerate([(outer, "abcd"), (middle, "abc"), (inner, "ab")]):
        for name in taken:
            registry.value(number, name=name)
    inner.component(name="x", requires=["a", "c", "d", "m.c", "m.i.a"])(lambda: 0)
    middle.component(name="x", requires=["a", "d", "i.a", "m.a"])(lambda: 0)
    outer.component(name="x", requires=["a", "m.a", "m.i.a"])(lambda: 0)
    outer.include(middle, prefix="m")
    middle.include(inner, prefix="i")
    assert {
        "m.i.x": (["m.i.a", "m.c", "d"], [], []),
        "m.x": (["m.a", "d", "m.i.a"], [], []),
        "x": (["a", "m.a", "m.i.a"], [], []),
    } == edges(outer.plan())


def test_what_is_absent_here_is_not_another_one_further_out() -> None:
    """A name whose nearest bearer is absent is absent: another does not slip in its place."""
    outer, inner = Registry("outer"), Registry("inner")
    outer.value(1, name="cache")
    inner.value(2, name="cache", enabled=False)
    inner.component(name="web", wants="cache")(lambda: 0)
    outer.include(inner, prefix="in")
    assert {} == edges(outer.plan())


def test_one_of_two_of_the_same_name() -> None:
    """Of two components of one name, of which one is enabled, that one is found by the name."""
    shop = Registry("shop")
    shop.value("real", name="cache", enabled=False)
    fake = shop.value("fake", name="cache")
    shop.component(name="web", requires="cache")(lambda: 0)
    plan = shop.plan()
    assert {"web": (["cache"], [], [])} == edges(plan)
    assert {fake: 0}.items() <= plan.index_of.items()


@pytest.mark.rule("G2")
def test_the_order_is_that_of_registration() -> None:
    """Ties are broken by registration; what is included counts where `include` was called."""
    shop, other = Registry("shop"), Registry("other")
    shop.value(1, name="b")
    late = Registry("late").value(1, name="z")
    shop.component(name="c", after=[late, "o.d"])(lambda: 0)
    shop.include(other, prefix="o")
    shop.value(1, name="a")
    other.value(1, name="y")
    other.value(1, name="d")
    plan = shop.plan()
    assert ["b", "o.y", "o.d", "c", "a"] == names(plan)
    assert [0, 1, 2, 3, 4] == [node.index for node in plan.components]
    assert list(range(5)) == [plan.index_of[node.handle] for node in plan.components]


def test_optional_may_require_optional() -> None:
    """Only what is not optional itself must not require what is."""
    shop = Registry("shop")
    shop.component(name="cache", optional=True)(lambda: 0)
    shop.component(name="a", optional=True, requires="cache")(lambda: 0)
    shop.component(name="b", wants="cache", after="a")(lambda: 0)
    assert [True, True, False] == [node.optional for node in shop.plan().components]


def test_a_circle_of_wants_is_one() -> None:
    """A circle is one whichever kind of dependency closes it."""
    shop = Registry("shop")
    shop.component(name="a", wants="b")(lambda: 0)
    shop.component(name="b", after="a")(lambda: 0)
    with pytest.raises(DefinitionError) as raised:
        shop.plan()
    assert "components depend on each other in a circle: a -> b -> a" == str(raised.value)


class Server:
    """An object that says by itself what it requires."""

    def __init__(self, *needs: Any) -> None:
        self._needs = needs

    def start(self) -> None: ...

    def __lifecycle_requires__(self) -> tuple[Any, ...]:
        return self._needs


def test_an_added_object_may_say_what_it_requires() -> None:
    """As what `requires=` says; by handle or by name."""
    shop = Registry("shop")
    shop.add(Server(), name="first")
    database = shop.value(1, name="database")
    web = shop.add(Server(database, "first"), name="web", requires=["other"])
    shop.value(2, name="other")

    plan = shop.plan()
    node = plan.components[plan.index_of[web]]
    assert ["other", "database", "first"] == [plan.components[i].name for i in node.requires]


@pytest.mark.rule("G1")
def test_an_object_only_wants_what_is_optional() -> None:
    """A route that is given something optional can do without; what is said by hand stays wrong."""
    shop = Registry("shop")
    cache = shop.component(optional=True, name="cache")(lambda: 1)
    tags = cache.map(str, name="tags")
    database = shop.value(2, name="database")
    web = shop.add(Server(cache, database, tags), name="web")

    plan = shop.plan()
    node = plan.components[plan.index_of[web]]
    assert ["database"] == [plan.components[i].name for i in node.requires]
    assert [plan.index_of[cache], plan.index_of[tags]] == list(node.wants)
    assert ["cache", "tags", "database", "web"] == [
        node.name for node in shop.only(web).plan().components
    ]

    shop.add(Server(cache), name="wrong", requires=[cache])
    with pytest.raises(InvalidComponentError, match="'wrong' requires 'cache', which is optional"):
        shop.plan()


@pytest.mark.rule("G1")
def test_what_an_object_says_it_requires_must_be_there() -> None:
    """It is checked as everything else is, and an object that cannot say it is an error."""
    shop = Registry("shop")
    shop.add(Server("databse"), name="web")
    shop.value(1, name="database")
    with pytest.raises(UnknownComponentError, match="Did you mean 'database'"):
        shop.plan()

    broken = Registry("broken")
    broken.add(Server(7), name="web")
    with pytest.raises(InvalidComponentError, match="'web' could not be asked what it requires"):
        broken.plan()


class Proxy:
    """Stands for something that is not there yet, as those of web frameworks do."""

    @property  # type: ignore[misc]  # mypy: it is a property that replaces an attribute
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise RuntimeError("working outside of application context")

    def __getattr__(self, name: str) -> Any:
        raise ConnectionError(f"asked for {name!r}, and there is no connection")


def test_a_value_is_asked_nothing() -> None:
    """Planning runs nothing, not even what answers for an attribute of a value."""
    shop = Registry("shop")
    tracing = shop.component(lambda: 1, name="tracing", enabled=False)
    proxy = Proxy()
    shop.value(proxy, name="db")

    @shop.component
    def jobs(tracing: object = wants(tracing, default=proxy)) -> object:
        return tracing

    assert {"db", "jobs"} <= {*names(shop.plan())}
