"""Including registries, and changed copies for tests and other roles, as the engine runs them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle import Lifetime, Registry, System, requires, wants
from lifecycle.errors import UnknownComponentError
from tests.engine.kit import Life, Noted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.uvloop


def make(life: Life) -> tuple[Registry, Any, Any]:
    """Declare a shop; gives it, its database and its web server."""
    shop = Registry("shop")
    config = shop.add(Noted(life, "config"), name="config")

    @shop.component(requires=config)
    async def database() -> AsyncIterator[str]:
        life.note("database.start")
        yield "pool"
        life.note("database.stop")

    database.drain(lambda _: life.note("database.drain"))

    @shop.component
    async def web(pool: str = requires(database)) -> str:
        life.note(f"web on {pool}")
        return f"web on {pool}"

    return shop, database, web


def test_overridden_by_a_value(life: Life) -> None:
    """What is overridden loses its dependencies and hooks; who requires it gets the value."""
    shop, database, web = make(life)

    async def body(system: System) -> Any:
        return system[database], system[web]

    lived = life.live(shop.override(database.to("fake")), body)
    assert ("fake", "web on fake") == lived.result
    assert "database.start" not in life.words
    life.words.clear()
    assert ("pool", "web on pool") == life.live(shop, body).result
    assert "database.stop" in life.words


@pytest.mark.parametrize("kind", ["coroutine", "generator", "manager", "sync manager", "lifetime"])
def test_overridden_by_what_a_function_makes(life: Life, kind: str) -> None:
    """It has dependencies of its own, and is treated as by `component`; managers are entered."""
    shop, database, web = make(life)
    dsn = shop.value("dsn", name="dsn")

    async def coroutine(dsn: str = requires(dsn)) -> str:
        return f"fake {dsn}"

    async def generator(dsn: str = requires(dsn)) -> AsyncIterator[str]:
        yield f"fake {dsn}"
        life.note("fake.stop")

    def sync_generator(dsn: str = requires(dsn)) -> Iterator[str]:
        yield f"fake {dsn}"
        life.note("fake.stop")

    async def lifetime(life_: Lifetime, dsn: str = requires(dsn)) -> str:
        assert "database" == life_.name
        return f"fake {dsn}"

    made: Any = {
        "coroutine": coroutine,
        "generator": generator,
        "manager": contextlib.asynccontextmanager(generator),
        "sync manager": contextlib.contextmanager(sync_generator),
        "lifetime": lifetime,
    }[kind]

    async def body(system: System) -> Any:
        return system[web]

    lived = life.live(shop.override(database.made_by(made)), body)
    assert lived.error is None
    assert "web on fake dsn" == lived.result
    assert ("fake.stop" in life.words) is (kind not in ("coroutine", "lifetime"))
    assert not any(word.startswith("database") for word in life.words)


def test_only_some(life: Life) -> None:
    """With what they require; what is only wanted is absent."""
    shop = Registry("shop")
    a = shop.add(Noted(life, "a"), name="a")
    b = shop.add(Noted(life, "b"), name="b")

    @shop.component(requires=a)
    async def c(b: Any = wants(b, default="no b")) -> Any:
        return b

    shop.add(Noted(life, "d"), name="d")

    async def body(system: System) -> Any:
        with pytest.raises(UnknownComponentError):
            system[b]
        return system[c]

    assert "no b" == life.live(shop.only(c), body).result
    assert ["a.start", "a.drain", "a.stop"] == life.words


def test_without_some(life: Life) -> None:
    """Whatever only wants them, or comes after them, does without."""
    shop = Registry("shop")
    a = shop.add(Noted(life, "a"), name="a")
    shop.add(Noted(life, "b"), name="b", wants=a)
    shop.add(Noted(life, "c"), name="c", after="a", requires="b")
    assert life.live(shop.without(a)).error is None
    assert ["b.start", "c.start", "c.drain", "b.drain", "c.stop", "b.stop"] == life.words


def test_what_is_not_enabled_is_absent(life: Life) -> None:
    """Wanting it gives the default; a function is asked by each plan."""
    shop = Registry("shop")
    asked: list[bool] = [False, True]
    tracing = shop.add(Noted(life, "t"), name="tracing", enabled=lambda: asked.pop(0))

    @shop.component
    async def web(tracing: Any = wants(tracing, default=None)) -> Any:
        return tracing

    async def body(system: System) -> Any:
        return system[web] is None

    assert life.live(shop, body).result is True
    assert [] == life.words
    assert life.live(shop, body).result is False
    assert ["t.start", "t.drain", "t.stop"] == life.words


def test_including_another_registry(life: Life) -> None:
    """Its components, checks and edges come along, under their prefix; handles find them."""
    billing, shop = Registry("billing"), Registry("shop")
    invoices = billing.add(Noted(life, "invoices"), name="invoices")

    @billing.component(requires="invoices")
    async def mailer(invoices: Noted = requires(invoices)) -> str:
        return "mailer"

    billing.preflight(lambda: life.note("check"))
    shop.include(billing, prefix="billing")

    @shop.component(after="billing.mailer")
    async def web(mailer: str = requires(mailer)) -> str:
        return f"web with {mailer}"

    async def body(system: System) -> Any:
        return system[web], list(system.status().components)

    value, names = life.live(shop, body).result
    assert "web with mailer" == value
    assert ["billing.invoices", "billing.mailer", "web"] == names
    assert ["check", "invoices.start", "invoices.drain", "invoices.stop"] == life.words


def test_a_diamond_of_includes(life: Life) -> None:
    """A registry that is reached by two paths is one."""
    base, left, right, shop = (Registry(name) for name in ("base", "left", "right", "shop"))
    core = base.add(Noted(life, "core"), name="core")
    left.include(base)
    right.include(base)
    left.add(Noted(life, "l"), name="l", requires=core)
    right.add(Noted(life, "r"), name="r", requires="core")
    shop.include(left)
    shop.include(right)
    assert life.live(shop).error is None
    assert 1 == life.words.count("core.start")
    assert 6 + 3 == len(life.words)
