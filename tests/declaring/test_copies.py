"""Changed copies: override, only, without, without_preflight."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle import Component, Plan, Registry, requires, wants
from lifecycle._core.component import Kind
from lifecycle.errors import UnknownComponentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def names(plan: Plan) -> list[str]:
    """Give the names of all components, in order."""
    return [node.name for node in plan.components]


class Shop:
    """config <- database (checked) <- jobs -wants-> tracing; web alone."""

    def __init__(self) -> None:
        self.shop = shop = Registry("shop")
        self.config = shop.value(1, name="config")
        self.tracing = shop.value("spans", name="tracing")
        self.database = self.declare("database", requires=self.config)
        self.database.check(bool)
        self.database.drain(print)
        self.jobs = self.declare("jobs", requires="database", wants=self.tracing, after="config")
        self.web = self.declare("web")
        shop.preflight(bool)

    def declare(self, name: str, **options: Any) -> Component[int]:
        return self.shop.component(lambda: 1, name=name, start_timeout=3, **options)


def test_to() -> None:
    """What is overridden by a value has no dependencies, checks or hooks, and the same name."""
    shop = Shop()
    copy = shop.shop.override(shop.database.to(7))
    node = copy.plan().components[2]
    assert ("database", Kind.VALUE, 7, (), (), None, ()) == (
        node.name,
        node.kind,
        node.value,
        node.dependencies,
        node.parameters,
        node.hooks.drain,
        node.hooks.checks,
    )
    assert shop.database is node.handle
    assert ["config", "tracing", "database", "jobs", "web"] == names(copy.plan())


def test_an_override_drops_every_kind_of_dependency() -> None:
    """What is overridden requires, wants and comes after nothing, however it was said."""
    shop = Shop()
    assert (2, 1, 0) == shop.shop.plan().components[3].dependencies
    node = shop.shop.override(shop.jobs.made_by(lambda: 1)).plan().components[3]
    assert ("jobs", ()) == (node.name, node.dependencies)


def test_made_by() -> None:
    """What `made_by` calls has its own needs, is entered, and keeps the timeouts."""
    shop = Shop()

    @contextlib.asynccontextmanager
    async def fake(
        web: int = requires(shop.web), spans: object = wants(shop.tracing)
    ) -> AsyncIterator[int]:
        yield 1

    plan = shop.shop.override(shop.database.made_by(fake)).plan()
    assert ["config", "tracing", "web", "database", "jobs"] == names(plan)
    node = plan.components[3]
    assert (Kind.FUNCTION, True, fake, (2,), (1,), (), 3) == (
        node.kind,
        node.enter,
        node.function,
        node.requires,
        node.wants,
        node.after,
        node.start_timeout,
    )
    assert (None, ()) == (node.hooks.drain, node.hooks.checks)


def test_the_original_stays() -> None:
    """A copy changes nothing in what it is a copy of."""
    shop = Shop()
    before = shop.shop.plan()
    copy = shop.shop.override(shop.database.to(7)).without(shop.web).without_preflight()
    copy.value(1, name="more")
    copy.plan()
    after = shop.shop.plan()
    assert names(before) == names(after)
    assert (bool,) == after.checks
    assert Kind.FUNCTION is after.components[2].kind


def test_a_copy_is_live() -> None:
    """What is declared in the original later is in the copy; not the other way round."""
    shop = Shop()
    copy = shop.shop.without("web")
    shop.shop.value(1, name="later")
    copy.value(1, name="own")
    assert ["config", "tracing", "database", "jobs", "later", "own"] == names(copy.plan())
    assert ["config", "tracing", "database", "jobs", "web", "later"] == names(shop.shop.plan())


def test_an_override_of_what_is_not_enabled() -> None:
    """Whoever overrides something wants it to be there."""
    shop = Registry("shop")
    tracing = shop.value(1, name="tracing", enabled=False)
    assert [] == names(shop.plan())
    assert ["tracing"] == names(shop.override(tracing.to(2)).plan())


def test_an_override_in_an_included_registry() -> None:
    """An included component is overridden by its handle, and keeps its whole name."""
    shop, billing = Registry("shop"), Registry("billing")
    pool = billing.component(lambda: 1, name="pool", requires="config")
    billing.value(1, name="config")
    shop.include(billing, prefix="billing")
    other = Registry("other")
    other.include(shop, prefix="shop")
    plan = other.override(pool.to(2)).plan()
    assert ["shop.billing.pool", "shop.billing.config"] == names(plan)
    assert 2 == plan.components[0].value


def test_the_last_override_holds() -> None:
    """Of overrides of overrides the last one holds."""
    shop = Shop()
    copy = shop.shop.override(shop.web.to(1)).override(shop.web.to(2), shop.database.to(3))
    assert [3, 2] == [copy.plan().components[index].value for index in (2, 4)]


def test_an_override_of_what_is_derived() -> None:
    """A derived value follows its source when that is overridden; and can be overridden itself."""
    shop = Registry("shop")
    engine = shop.component(lambda: 1, name="engine")
    sessions = engine.map(str)
    first = shop.override(engine.to(2)).plan()
    assert [Kind.VALUE, Kind.DERIVED] == [node.kind for node in first.components]
    second = shop.override(sessions.to("fake")).without(engine).plan()
    assert [("engine.str", "fake", ())] == [
        (node.name, node.value, node.dependencies) for node in second.components
    ]


def test_only() -> None:
    """`only` keeps what is named and what that requires; checks stay, what is wanted does not."""
    shop = Shop()
    plan = shop.shop.only(shop.jobs).plan()
    assert ["config", "database", "jobs"] == names(plan)
    assert ((bool,), ()) == (plan.checks, plan.components[2].wants)
    assert {shop.tracing, shop.web, "tracing", "web"} == plan.absent


def test_only_by_name_and_of_several() -> None:
    """`only` takes names as they are in the registry that it is called on."""
    shop, outer = Shop(), Registry("outer")
    outer.include(shop.shop, prefix="shop")
    assert ["shop.config", "shop.database", "shop.web"] == names(
        outer.only("shop.database", shop.web).plan()
    )
    inner = shop.shop.only("database")
    around = Registry("around")
    around.include(inner, prefix="in")
    assert ["in.config", "in.database"] == names(around.plan())
    assert [] == names(outer.only().plan())


def test_without() -> None:
    """`without` takes away what is named; what is only wanted may go."""
    shop = Shop()
    plan = shop.shop.without(shop.tracing, "web").plan()
    assert ["config", "database", "jobs"] == names(plan)


def test_without_takes_what_is_derived_along() -> None:
    """What is made by `map` is absent where its source is."""
    shop = Registry("shop")
    engine = shop.value(1, name="engine")
    sessions = engine.map(str)
    sessions.map(len)
    shop.component(lambda: 1, name="web", wants=sessions)
    assert ["web"] == names(shop.without(engine).plan())


def test_without_and_a_replacement_of_the_same_name() -> None:
    """What is left out leaves its name to another."""
    shop = Shop()
    copy = shop.shop.without("web")
    copy.value(2, name="web")
    assert 2 == copy.plan().components[4].value


def test_copies_chain() -> None:
    """Each copy is made of the one before."""
    shop = Shop()
    copy = shop.shop.override(shop.database.to(1)).only(shop.jobs).without_preflight()
    plan = copy.plan()
    assert (["database", "jobs"], ()) == (names(plan), plan.checks)
    nothing = shop.shop.override().only()
    assert [] == names(nothing.plan())


def test_many_copies() -> None:
    """A chain of a thousand copies works."""
    copy = Shop().shop
    for _ in range(1_000):
        copy = copy.without()
    assert 5 == len(copy.plan().components)


@pytest.mark.parametrize(
    ("message", "copy"),
    [
        (
            "'shop' overrides 'strange', and it is not there: it belongs to the registry 'other'.",
            lambda shop: shop.shop.override(Registry("other").value(1, name="strange").to(2)),
        ),
        (
            "'shop' keeps only 'databse', and no component has that name. Did you mean 'database'?",
            lambda shop: shop.shop.only("databse"),
        ),
        (
            "'shop' leaves out 'nobody', and no component has that name.",
            lambda shop: shop.shop.without("nobody"),
        ),
        (
            "'shop' leaves out 'web', and it was left out by without().",
            lambda shop: shop.shop.without(shop.web).without(shop.web),
        ),
        (
            "'shop' overrides 'web', and it was left out by only().",
            lambda shop: shop.shop.only(shop.database).override(shop.web.to(1)),
        ),
        (
            "'shop' keeps only 'web', and it was left out by without().",
            lambda shop: shop.shop.without(shop.web).without_preflight().only("web"),
        ),
        (
            "'jobs' requires 'database', and it was left out by without().",
            lambda shop: shop.shop.without(shop.database),
        ),
        (
            "'jobs' requires 'database', and it was left out by without().",
            lambda shop: shop.shop.without("database").only("jobs"),
        ),
    ],
    ids=[
        "override",
        "only",
        "without",
        "without twice",
        "override of what was left out",
        "only what was left out",
        "required",
        "required by what is kept",
    ],
)
def test_what_is_not_there(message: str, copy: Any) -> None:
    """Changes to what is not there are errors of the plan, and so is requiring what has gone."""
    shop = Shop()
    with pytest.raises(UnknownComponentError) as raised:
        copy(shop).plan()
    assert message == str(raised.value)


def test_hooks_declared_on_a_handle_later() -> None:
    """Hooks are read by `plan`; those of what is overridden are none's, whenever they came."""
    shop = Shop()
    copy = shop.shop.override(shop.web.to(1))
    shop.web.check(bool)
    assert () == copy.plan().components[4].hooks.checks
