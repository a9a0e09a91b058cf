"""Registries that are parts of others."""

from __future__ import annotations

import pytest

from lifecycle import Plan, Registry
from lifecycle.errors import DefinitionError


def names(plan: Plan) -> list[str]:
    """Give the names of all components, in order."""
    return [node.name for node in plan.components]


def test_prefixes_add_up() -> None:
    """The name of a component begins with all the prefixes on the way to it."""
    a, b, c = Registry("a"), Registry("b"), Registry("c")
    a.include(b, prefix="b")
    b.include(c, prefix="x.y")
    component = c.value(1, name="v")
    assert ["b.x.y.v"] == names(a.plan())
    assert "v" == component.name
    assert {component: 0} == a.plan().index_of


def test_without_a_prefix() -> None:
    """Without a prefix, or with an empty one, names stay as they are."""
    a, b = Registry("a"), Registry("b")
    a.include(b)
    a.include(b, prefix="")
    b.value(1, name="v")
    assert ["v"] == names(a.plan())


def test_include_is_live() -> None:
    """What is declared in an included registry later is in the next plan."""
    a, b = Registry("a"), Registry("b")
    a.include(b, prefix="b")
    assert [] == names(a.plan())
    b.value(1, name="v")
    assert ["b.v"] == names(a.plan())


def test_one_registry_by_two_paths_is_one() -> None:
    """A registry that several others include is there once, where it is met first."""
    common, billing, orders, shop = map(Registry, ("common", "billing", "orders", "shop"))
    common.value(1, name="config")
    common.preflight(bool)
    for part in (billing, orders):
        part.include(common)
        part.value(1, name=part.name)
        shop.include(part)
    plan = shop.plan()
    assert (["config", "billing", "orders"], (bool,)) == (names(plan), plan.checks)


def test_many_diamonds() -> None:
    """A deep stack of diamonds, with 2 ** 60 paths to its end, is planned at once."""
    top = bottom = Registry("0")
    for number in range(60):
        new = Registry(str(number + 1))
        for side in "lr":
            between = Registry(side)
            bottom.include(between)
            between.include(new)
        bottom = new
    bottom.value(1, name="v")
    assert ["v"] == names(top.plan())


def test_a_deep_chain() -> None:
    """Registries may include each other to any depth."""
    top = bottom = Registry("top")
    for _ in range(5_000):
        new = Registry("new")
        bottom.include(new)
        bottom = new
    bottom.value(1, name="v")
    assert ["v"] == names(top.plan())


def test_preflight_checks_come_along() -> None:
    """Checks are in the order of registration, included ones where `include` was called."""
    a, b = Registry("a"), Registry("b")
    a.preflight(int)
    a.include(b, prefix="b")
    a.preflight(str)
    b.preflight(bool)
    b.preflight(int)
    assert (int, bool, str) == a.plan().checks


def test_included_copies() -> None:
    """A changed copy can be included; what it shares with others is still one."""
    common, billing, shop = Registry("common"), Registry("billing"), Registry("shop")
    config = common.value(1, name="config")
    billing.include(common)
    pool = billing.component(name="pool", requires=config)(lambda: 1)
    shop.include(common)
    shop.include(billing.override(pool.to(2)))
    plan = shop.plan()
    assert ["config", "pool"] == names(plan)
    assert 2 == plan.components[1].value


def test_a_copy_beside_its_original() -> None:
    """A registry and a changed copy of it are not parts of the same system."""
    billing, shop = Registry("billing"), Registry("shop")
    pool = billing.value(1, name="pool")
    shop.include(billing)
    shop.include(billing.override(pool.to(2)))
    with pytest.raises(DefinitionError) as raised:
        shop.plan()
    assert (
        "'pool' is there twice, as declared and overridden: a registry and a changed copy of it "
        "are parts of the same system. Override it in the whole: whole.override(…)"
    ) == str(raised.value)


def test_what_one_copy_leaves_out_and_another_has() -> None:
    """A component that is there through one path is there, with what is derived from it."""
    billing, shop = Registry("billing"), Registry("shop")
    pool = billing.value(1, name="pool")
    size = pool.map(str, name="size")
    shop.include(billing.without(pool))
    shop.include(billing)
    shop.component(lambda: 1, name="web", requires=[pool, size])
    plan = shop.plan()
    assert ["pool", "size", "web"] == names(plan)
    assert not plan.absent & {pool, size}
