"""How long a plan can take, and whose limits hold."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from lifecycle import Lifetime, Limits, Registry, Settings
from lifecycle._core.plan import NodeLimits, check_settings, limits_of
from lifecycle.errors import SettingsError


def test_the_critical_path() -> None:
    """The worst start is that of the chain whose timeouts add up to the most."""
    shop = Registry("shop")
    shop.value(1, name="config")
    shop.component(name="a", start_timeout=5, requires="config")(lambda: 1)
    shop.component(name="b", start_timeout=7)(lambda: 1)
    shop.component(name="c", start_timeout=4, wants="a", after="b")(lambda: 1).map(str)
    plan = shop.plan()
    assert (("b", "c"), 11) == (plan.critical_path, plan.worst_start)
    slower = shop.plan(Settings(limits={"a": Limits(start=9)}))
    assert (("a", "c"), 13) == (slower.critical_path, slower.worst_start)
    bounded = shop.plan(Settings(startup_timeout=10))
    assert (("b", "c"), 10) == (bounded.critical_path, bounded.worst_start)


def test_what_takes_no_time_shortens_no_chain() -> None:
    """A value that is made of another stands in the chain, and adds nothing to it."""
    shop = Registry("shop")
    a = shop.component(name="a", start_timeout=5, stop_timeout=3)(lambda: 1)
    shop.component(name="b", start_timeout=4, stop_timeout=2, requires=a.map(str))(lambda: 1)
    plan = shop.plan()
    assert (9, 5) == (plan.worst_start, plan.worst_shutdown)


def test_the_worst_shutdown() -> None:
    """The worst shutdown is the delay, the longest chain of drains, and that of stops."""
    shop = Registry("shop")

    @shop.service(drain_timeout=3, stop_timeout=1)
    async def jobs(life: Lifetime) -> None:
        """Run."""

    @shop.service(drain_timeout=50, stop_timeout=1)
    async def does_not_drain() -> None:
        """Run."""

    @shop.main(drain_timeout=2, stop_timeout=1, requires=jobs)
    async def nightly() -> None:
        """Run."""

    shop.component(name="free", stop_timeout=4)(lambda: 1)
    assert 3 + 2 + 4 == shop.plan().worst_shutdown
    assert 1 + 3 + 2 + 4 == shop.plan(Settings(drain_delay=1)).worst_shutdown


def test_what_does_not_drain_takes_no_time_for_it() -> None:
    """However long the chain of those that only stop."""
    shop = Registry("shop")
    first = shop.component(name="first", stop_timeout=1)(lambda: 1)
    shop.component(name="second", stop_timeout=1, requires=first)(lambda: 1)
    assert 1 + 1 == shop.plan().worst_shutdown


def test_what_is_made_by_a_function_drains_if_it_says_for_how_long() -> None:
    """Whether the object will have a drain cannot be known; who gives it time for one knows."""
    shop = Registry("shop")

    class Thing:
        def stop(self) -> None:
            """Stop."""

    shop.build(name="web", drain_timeout=15, stop_timeout=2)(Thing)
    shop.build(name="engine", stop_timeout=3)(Thing)
    assert 15 + 3 == shop.plan().worst_shutdown


def test_what_drains_is_seen_by_its_hook() -> None:
    """A hook that was given counts, an added object's too; a timeout for it alone is no hook."""

    class Thing:
        def stop(self) -> None:
            """Stop."""

    shops = [Registry(f"shop {number}") for number in range(4)]
    shops[0].add(Thing(), drain_timeout=3, stop_timeout=1)
    shops[1].add(Thing(), drain=lambda: None, drain_timeout=3, stop_timeout=1)
    shops[2].component(name="a", drain_timeout=3, stop_timeout=1)(lambda: 1)
    drains = shops[3].component(name="a", drain_timeout=3, stop_timeout=1)(lambda: 1)
    drains.drain(lambda _: None)
    assert [1, 4, 1, 4] == [shop.plan().worst_shutdown for shop in shops]


def test_a_drain_without_a_timeout_takes_what_the_grace_leaves() -> None:
    """A drain without a limit of its own may take all that delay and close leave."""
    shop = Registry("shop")

    class Thing:
        def stop(self) -> None:
            """Stop."""

        def drain(self) -> None:
            """Drain."""

    shop.add(Thing(), stop_timeout=2)
    settings = Settings(grace_period=30, drain_delay=5, close_reserve=4)
    assert 5 + (30 - 5 - 4) + 2 == shop.plan(settings).worst_shutdown


def test_limits() -> None:
    """The settings' limits come before the declaration, and that before the settings' defaults."""
    shop = Registry("shop")
    a = shop.component(name="a", start_timeout=1, drain_timeout=0, stop_timeout=2)(lambda: 1)
    shop.component(name="b")(lambda: 1)
    a_node, b_node = shop.plan().components
    plain = Settings()
    assert NodeLimits(1, 0, 2) == limits_of(a_node, plain)
    assert NodeLimits(60, None, 10) == limits_of(b_node, plain)
    assert NodeLimits(7, 8, 9) == limits_of(
        b_node, Settings(start_timeout=7, drain_timeout=8, stop_timeout=9)
    )
    limited = Settings(limits={a: Limits(start=3, drain=4), "b": Limits(stop=5)})
    assert NodeLimits(3, 4, 2) == limits_of(a_node, limited)
    assert NodeLimits(60, None, 5) == limits_of(b_node, limited)


def test_limits_of_components_that_are_there() -> None:
    """Limits may be for any component, by handle or name, also where it is absent here."""
    shop = Registry("shop")
    a = shop.value(1, name="a")
    off = shop.value(1, name="off", enabled=False)
    gone = shop.value(1, name="gone")
    plan = shop.without(gone).plan()
    keys = (a, "a", off, "off", gone, "gone")
    check_settings(plan, Settings(limits=dict.fromkeys(keys, Limits(start=1))))


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (
            (
                "a key of limits is 'databse', but must be the handle or the name of a component; "
                "did you mean 'database'?"
            ),
            "databse",
        ),
        ("a key of limits is 'x', but must be the handle or the name of a component", "x"),
        (
            (
                "a key of limits is <Component 'database' of 'other'>, but must be the handle "
                "or the "
                "name of a component"
            ),
            Registry("other").value(1, name="database"),
        ),
    ],
    ids=["misspelt", "unknown", "another's"],
)
def test_limits_of_what_is_not_there(message: str, key: object) -> None:
    """A limit for what is no component is a SettingsError."""
    shop = Registry("shop")
    shop.value(1, name="database")
    with pytest.raises(SettingsError) as raised:
        check_settings(shop.plan(), Settings(limits={key: Limits(start=1)}))
    assert message == str(raised.value)


def test_a_variable_for_what_is_not_there() -> None:
    """It is named, and what could have been meant is told as it is spelt in variables."""
    shop = Registry("shop")
    shop.value(1, name="read-replica")
    variable = "LIFECYCLE_READ_REPLIKA_STOP_TIMEOUT"
    with pytest.raises(SettingsError) as raised:
        check_settings(shop.plan(), Settings.from_env(environ={variable: "3"}))
    assert (
        f"the component that {variable} is for is 'READ_REPLIKA', but must be the handle or the "
        "name of a component; did you mean 'READ_REPLICA'?"
    ) == str(raised.value)


SHUFFLED = """
import random
from lifecycle import Registry

shop = Registry("shop")
names = [f"c{number}" for number in range(200)]
random.Random(7).shuffle(names)
for place, name in enumerate(names):
    later = set(names[place + 1 :: 90])
    shop.component(name=name, requires=set(names[:place:7]), after=later)(lambda: 1)
try:
    shop.plan()
except Exception as error:
    print(error, *getattr(error, "__notes__", ()))
other = Registry("other")
for place, name in enumerate(names):
    other.component(name=name, wants=set(names[:place:7]), optional=True)(lambda: 1)
plan = other.without(*set(names[::9])).plan()
print([(node.name, node.dependencies) for node in plan.components], plan.critical_path)
"""


@pytest.mark.rule("G2")
def test_the_order_is_independent_of_the_hash_seed() -> None:
    """Order, critical path and errors are the same whatever the hash seed is."""
    said = {
        subprocess.run(
            [sys.executable, "-c", SHUFFLED],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert 1 == len(said)
    assert "components depend on each other in a circle: " in said.pop()


@pytest.mark.rule("G4")
@pytest.mark.parametrize(("shape", "many"), [("chain", 100_000), ("star", 20_000), ("fan", 20_000)])
def test_a_hundred_thousand_components(shape: str, many: int) -> None:
    """A very large plan is made in seconds, whatever its shape."""
    shop = Registry("shop")
    names: list[str] = []
    for number in range(many):
        before = {"chain": names[-1:], "star": names[:1], "fan": []}[shape]
        names.append(f"c{number}")
        shop.component(name=names[-1], requires=before)(lambda: 1)
    shop.component(name="last", requires=names if shape == "fan" else names[-1])(lambda: 1)
    begun = time.process_time()
    plan = shop.plan()
    took = time.process_time() - begun
    assert many + 1 == len(plan.components)
    longest = many + 1 if shape == "chain" else 3 if shape == "star" else 2
    assert longest == len(plan.critical_path)
    assert took < 30  # a few seconds; quadratic would be hours
