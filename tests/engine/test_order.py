from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Component, Registry, System, requires, requires_all, running, wants
from lifecycle.errors import StartError
from tests.engine.kit import Life, Noted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MANY = 100_000
FEWER = 20_000
"""Enough for what recurses, or is quadratic, to show; where one of the full size says the rest."""


def slow(shop: Registry, name: str, seconds: float, **options: Any) -> Component[str]:
    """Declare what takes as long to start as it takes to stop."""

    async def fn() -> AsyncIterator[str]:
        await anyio.sleep(seconds)
        yield name
        await anyio.sleep(seconds)

    return shop.component(fn, name=name, **options)


@pytest.mark.rule("S2")
def test_each_starts_the_moment_its_own_dependencies_are_ready(life: Life) -> None:
    """There are no levels: `c` does not wait for `slow`, which it does not use."""
    shop = Registry("shop")
    slow(shop, "slow", 10)
    a = slow(shop, "a", 1)
    b = slow(shop, "b", 2, requires=a)
    slow(shop, "c", 3, requires=[a, b])

    life.live(shop, observers=[life.observe])
    assert [
        "0 = starting",
        "0 slow starts",
        "0 a starts",
        "1 a started",
        "1 b starts",
        "3 b started",
        "3 c starts",
        "6 c started",
        "10 slow started",
        "10 = running",
        "10 asked to shut down: the body has ended",
    ] == life.log[:11]


@pytest.mark.rule("D5")
def test_each_stops_the_moment_its_dependents_have_stopped(life: Life) -> None:
    """The end is the start in reverse, each component on its own."""
    shop = Registry("shop")
    a = slow(shop, "a", 1)
    b = slow(shop, "b", 2, requires=a)
    slow(shop, "c", 3, requires=b)
    slow(shop, "d", 4, requires=a)

    life.live(shop, observers=[life.observe])
    closing = life.log.index("6 = closing")
    assert {"6 c stops", "6 d stops"} == set(life.log[closing + 1 : closing + 3])
    assert [
        "9 c stopped",
        "9 b stops",
        "10 d stopped",
        "11 b stopped",
        "11 a stops",
        "12 a stopped",
        "12 = closed",
        "12 closed: clean, 0",
    ] == life.log[closing + 3 :]


@pytest.mark.rule("G2")
@pytest.mark.uvloop
def test_registration_order_breaks_ties(life: Life) -> None:
    """What may start at the same time is started in the order of registration."""
    shop = Registry("shop")
    names = ["zoe", "adam", "mia", "bob", "yves", "carl"]
    for name in names:
        shop.add(Noted(life, name), name=name)
    life.live(shop, observers=[life.observe])
    assert [f"{name} starts" for name in names] == [w for w in life.words if "starts" in w]


@pytest.mark.rule("G2")
@pytest.mark.uvloop
def test_the_end_is_the_start_in_reverse(life: Life) -> None:
    """What may end at the same time is drained and stopped in the reverse of that order."""
    shop = Registry("shop")
    names = ["zoe", "adam", "mia", "bob", "yves", "carl"]
    for name in names:
        shop.add(Noted(life, name), name=name)
    life.live(shop, observers=[life.observe])
    reverse = list(reversed(names))
    assert [f"{name} drains" for name in reverse] == [w for w in life.words if "drains" in w]
    assert [f"{name} stops" for name in reverse] == [w for w in life.words if "stops" in w]


@pytest.mark.rule("G3")
def test_after_is_order_only(life: Life) -> None:
    """What comes after another one waits for it, gets nothing from it, and outlives its failure."""
    shop = Registry("shop")

    @shop.component(optional=True)
    async def broken() -> None:
        await anyio.sleep(1)
        message = "broken"
        raise ValueError(message)

    shop.add(Noted(life, "web"), name="web", after=[broken, "nobody"])

    async def body(system: System) -> None:
        life.note("body")

    assert life.live(shop, body).error is None
    assert ["1 web.start", "1 body", "1 web.drain", "1 web.stop"] == life.log


@pytest.mark.rule("G3")
@pytest.mark.uvloop
def test_what_requires_something_that_failed_is_skipped(life: Life) -> None:
    """Skipping reaches far; what only wants it gets its default, and what is after it starts."""
    shop = Registry("shop")
    got: list[object] = []

    @shop.component(optional=True)
    async def tracing() -> str:
        message = "no agent"
        raise OSError(message)

    @shop.component(optional=True)
    async def exporter(tracing: str = requires(tracing)) -> str:
        return "never"

    @shop.component(optional=True)
    async def far(exporter: str = requires(exporter)) -> str:
        return "never"

    @shop.component
    async def web(
        tracing: str | None = wants(tracing),
        exporter: str = wants(exporter, default="noop"),
        far: str = wants(far, default="noop"),
    ) -> str:
        got.extend([tracing, exporter, far])
        return "web"

    async def body(system: System) -> None:
        got.append(system[web])

    lived = life.live(shop, body, observers=[life.observe])
    assert lived.error is None
    assert [None, "noop", "noop", "web"] == got
    assert [
        "= starting",
        "tracing starts",
        "tracing started: StartError: 'tracing' did not start: OSError: no agent",
        "exporter skipped because of tracing",
        "far skipped because of tracing",
        "web starts",
        "web started",
        "= running",
    ] == life.words[:8]


@pytest.mark.rule("G3")
def test_what_is_wanted_starts_before_and_ends_after(life: Life) -> None:
    """A soft dependency that works is a dependency like any other."""
    shop = Registry("shop")
    tracing = shop.add(Noted(life, "tracing", takes=1), name="tracing", optional=True)
    shop.add(Noted(life, "web", takes=1), name="web", wants=tracing)

    life.live(shop)
    assert [
        "0 tracing.start",
        "1 web.start",
        "2 web.drain",
        "3 tracing.drain",
        "4 web.stop",
        "5 tracing.stop",
    ] == life.log


@pytest.mark.uvloop
def test_values_flow(life: Life) -> None:
    """Each parameter is filled with what the component it names has given."""
    shop = Registry("shop")

    @shop.component
    def one() -> int:
        return 1

    @shop.component
    async def two(one: int = requires(one)) -> AsyncIterator[int]:
        yield one + 1

    three = two.map(lambda two: two + 1, name="three")
    four = shop.value(4, name="four")

    @shop.component
    async def total(
        first: int = requires(one), *rest: int, others: Any = requires_all([two, three, four])
    ) -> tuple[Any, ...]:
        return (first, rest, others)

    async def body(system: System) -> object:
        return system[total], system[three]

    assert ((1, (), (2, 3, 4)), 3) == life.live(shop, body).result


@pytest.mark.rule("S2")
def test_running_begins_when_everything_is_settled(life: Life) -> None:
    """The body is entered once the last one is ready, failed or skipped, optional ones too."""
    shop = Registry("shop")

    @shop.component(optional=True)
    async def slow_failure() -> None:
        await anyio.sleep(5)
        raise ValueError

    shop.add(Noted(life, "web", takes=1), name="web")

    async def body(system: System) -> None:
        life.note(f"body, {system.status().phase}")

    life.live(shop, body)
    assert ["0 web.start", "5 body, running"] == life.log[:2]


@pytest.mark.rule("S2")
@pytest.mark.uvloop
def test_an_empty_registry_runs(life: Life) -> None:
    """Nothing to start is no error."""

    async def body(system: System) -> object:
        return str(system.status().phase)

    lived = life.live(Registry("empty"), body, observers=[life.observe])
    assert "running" == lived.result
    assert ["= starting", "= running"] == life.words[:2]
    assert ["= closed", "closed: clean, 0"] == life.words[-2:]


@pytest.mark.rule("G4")
@pytest.mark.parametrize(
    ("backend", "shape", "many"),
    [
        ("asyncio", "chain", MANY),
        ("trio", "chain", FEWER),
        ("asyncio", "star", FEWER),
        ("asyncio", "fan", FEWER),
    ],
)
def test_a_hundred_thousand_values(backend: str, shape: str, many: int) -> None:
    """Size is no matter: nothing recurses, nothing is quadratic, a value has no task."""
    life = Life(backend)
    shop = Registry("shop")
    last = shop.value(0, name="0")
    first, every = last, [last]
    for number in range(1, many):
        if shape == "chain":
            last = last.map(lambda value: value + 1, name=str(number))
        elif shape == "star":
            last = first.map(lambda value: value + 1, name=str(number))
        else:
            every.append(shop.value(number, name=str(number)))
    if shape == "fan":

        @shop.component
        async def total(values: Any = requires_all(every)) -> int:
            return sum(values)

        last = total

    async def body(system: System) -> int:
        return system[last]

    lived = life.live(shop, body)
    assert lived.error is None
    assert lived.result == {"chain": many - 1, "star": 1, "fan": many * (many - 1) // 2}[shape]


@pytest.mark.rule("G4")
def test_a_failure_skips_a_chain_of_any_length() -> None:
    """Giving up is as cheap as starting."""
    life = Life("asyncio")
    shop = Registry("shop")

    @shop.component
    async def root() -> int:
        message = "no root"
        raise ValueError(message)

    last: Component[int] = root
    for number in range(FEWER):
        last = last.map(lambda value: value + 1, name=str(number))

    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert lived.error.component == "root"
    assert lived.report is not None
    assert lived.report.components[str(FEWER - 1)].state == "skipped"


@pytest.mark.rule("G4")
def test_a_long_chain_of_tasks(life: Life) -> None:
    """Two thousand components with tasks, one behind the other, start and stop in order."""
    shop = Registry("shop")
    order: list[int] = []
    size = 2000

    def link(number: int, before: Component[int] | None) -> Component[int]:
        async def fn() -> AsyncIterator[int]:
            order.append(number)
            yield number
            order.append(number)

        needs = [before] if before is not None else []
        return shop.component(fn, name=str(number), requires=needs)

    last: Component[int] | None = None
    for number in range(size):
        last = link(number, last)

    assert life.live(shop).error is None
    assert [*range(size), *reversed(range(size))] == order


@pytest.mark.uvloop
def test_a_plan_runs_again_and_again(life: Life) -> None:
    """A plan is data: each run has values of its own."""
    shop = Registry("shop")

    @shop.component
    async def thing() -> AsyncIterator[list[int]]:
        yield []

    plan = shop.plan()

    async def main() -> None:
        async with running(plan) as first, running(plan) as second:
            assert first[thing] is not second[thing]
        async with running(plan) as third:
            assert third[thing] == []

    life.run(main)


@pytest.mark.uvloop
def test_running_is_entered_once(life: Life) -> None:
    """Each `running(…)` is one run: entering it again is refused."""
    shop = Registry("shop")

    async def main() -> None:
        context = running(shop)
        async with context:
            with pytest.raises(RuntimeError, match="entered before"):
                await context.__aenter__()
        with pytest.raises(RuntimeError, match="entered before"):
            await context.__aenter__()

    life.run(main)


@pytest.mark.rule("G2")
def test_companions_and_checks_begin_in_order(life: Life) -> None:
    """In that of their declaration, on trio too."""
    names = ["a", "b", "c", "d"]
    orders: set[tuple[str, ...]] = set()

    for _ in range(10):
        shop, begun = Registry("shop"), list[str]()

        def companion(name: str, begun: list[str] = begun) -> Any:
            @contextlib.asynccontextmanager
            async def named(system: System) -> AsyncIterator[None]:
                begun.append(name)
                yield

            return named

        def check(name: str, begun: list[str] = begun) -> Any:
            async def named() -> None:
                begun.append(name.upper())

            return named

        for name in names:
            shop.preflight(check(name))
        assert life.live(shop, companions=[companion(name) for name in names]).error is None
        orders.add(tuple(begun))

    assert {(*names, *(name.upper() for name in names))} == orders
