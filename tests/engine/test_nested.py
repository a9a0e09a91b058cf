"""A system as a component of another one."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import anyio
import pytest
from typing_extensions import assert_type

from lifecycle import (
    Component,
    Lifetime,
    Outcome,
    Registry,
    Settings,
    System,
    running,
)
from lifecycle.errors import (
    ClosedError,
    CrashedError,
    DrainTimeoutError,
    StartError,
    StopError,
    UnknownComponentError,
    leaf,
)
from lifecycle.nested import Nested, nested
from tests.engine.kit import Life, Noted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG = Settings(grace_period=300)
"""Of a system that would take its time, if it were not one of another."""


def outer_of(
    inner: Registry,
    life: Life,
    drain_timeout: float | None = None,
    stop_timeout: float | None = None,
) -> tuple[Registry, Component[System]]:
    """Make a system around one: what it needs, and what needs it."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    @shop.build(requires=[database], drain_timeout=drain_timeout, stop_timeout=stop_timeout)
    def tenants() -> Nested:
        return nested(inner, LONG)

    assert_type(tenants, Component[System])
    shop.add(Noted(life, "web", takes=1), name="web", requires=[tenants])
    return shop, tenants


class Hooks:
    """Hooks that take as long as one says, and write down how they end."""

    def __init__(self, life: Life, *, drain: float = 0.0, stop: float = 0.0) -> None:
        self._life = life
        self._drain = drain
        self._stop = stop

    async def start(self) -> None:
        pass

    async def drain(self) -> None:
        await self._take("drain", self._drain)

    async def stop(self) -> None:
        await self._take("stop", self._stop)

    async def _take(self, hook: str, seconds: float) -> None:
        try:
            await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            self._life.note(f"{hook} cancelled")
            raise
        self._life.note(f"{hook} done")


# --- its place -----------------------------------------------------------------------------------


def test_it_drains_and_stops_where_its_component_does(life: Life) -> None:
    """After all that uses it, and before all that it uses."""
    inner = Registry("tenants")
    first = inner.add(Noted(life, "acme", takes=1), name="acme")
    inner.add(Noted(life, "beta", takes=1), name="beta", requires=[first])
    shop, tenants = outer_of(inner, life)

    async def body(system: System) -> None:
        assert ["acme", "beta"] == [*system[tenants].status().components]

    lived = life.live(shop, body)

    assert lived.error is None
    assert life.log == [
        "0 database.start",
        "0 acme.start",
        "1 beta.start",
        "2 web.start",
        "3 web.drain",
        "4 beta.drain",
        "5 acme.drain",
        "6 database.drain",
        "6 web.stop",
        "7 beta.stop",
        "8 acme.stop",
        "9 database.stop",
    ]


def test_it_is_closed_only_when_nothing_is_in_flight_around_it(life: Life) -> None:
    """It has drained long before; whoever is in flight elsewhere may still ask it."""
    inner = Registry("tenants")
    acme = inner.add(Noted(life, "acme"), name="acme")
    shop, tenants = outer_of(inner, life)

    async def body(system: System) -> None:
        system.shut_down()
        await anyio.sleep(7)
        assert not system[tenants].status().ready
        assert system[tenants][acme] is not None
        life.note("body ends")

    lived = life.live(shop, body)

    assert lived.error is None
    assert ["2 acme.drain", "2 database.drain", "8 body ends", "8 web.stop", "9 acme.stop"] == (
        life.log[4:9]
    )


def test_it_goes_on_during_the_drain_delay(life: Life) -> None:
    """Of the system around it: its own is of no importance."""
    inner = Registry("tenants")
    inner.add(Noted(life, "acme"), name="acme")
    shop = Registry("shop")
    shop.add(nested(inner, Settings(drain_delay=3)), name="tenants")

    async def body(system: System) -> None:
        system.shut_down()
        await system.closed()

    lived = life.live(shop, body, Settings(drain_delay=5))

    assert lived.error is None
    assert ["0 acme.start", "5 acme.drain", "5 acme.stop"] == life.log


# --- its time ------------------------------------------------------------------------------------


def test_its_drain_has_the_time_of_its_component(life: Life) -> None:
    """What is left then is cut off a little before, so that its name is in the error."""
    inner = Registry("tenants")
    inner.add(Hooks(life, drain=100), name="acme")
    shop, _ = outer_of(inner, life, drain_timeout=5)

    lived = life.live(shop)

    assert lived.report is not None
    assert 75 == lived.report.exit_code
    assert "6.5 drain cancelled" in life.log  # web takes 1 s to start, and 1 to drain
    (error,) = lived.report.errors
    assert isinstance(error, StopError)
    assert isinstance(error.__cause__, DrainTimeoutError)
    assert "acme" == error.__cause__.component
    assert ["6.5 database.drain", "6.5 web.stop", "7.5 stop done"] == life.log[-4:-1]


def test_work_in_it_has_the_time_of_its_component(life: Life) -> None:
    """Whoever holds it is told, and it is named."""
    inner = Registry("tenants")

    @inner.service
    async def acme(own: Lifetime) -> None:
        own.started()
        with own.hold("an order"):
            await anyio.sleep_forever()

    shop, _ = outer_of(inner, life, drain_timeout=5)

    lived = life.live(shop)

    assert lived.report is not None
    (error,) = lived.report.errors
    assert "an order" in str(error.__cause__)
    assert 7 <= life.now() <= 9


def test_its_stop_has_the_time_of_its_component(life: Life) -> None:
    """Though its own grace period would be longer; nothing is abandoned."""
    inner = Registry("tenants")
    inner.add(Hooks(life, stop=100), name="acme", stop_timeout=200)
    shop, _ = outer_of(inner, life, stop_timeout=5)

    lived = life.live(shop)

    assert lived.report is not None
    assert 75 == lived.report.exit_code
    assert "7.5 stop cancelled" in life.log  # 3 s, and 5 less a tenth
    (error,) = lived.report.errors
    assert isinstance(error.__cause__, StopError)
    assert "acme" == error.__cause__.component
    assert () == lived.report.abandoned


def test_what_does_not_end_in_it_is_abandoned_with_it(life: Life) -> None:
    """The system around it goes on without it, in time."""
    inner = Registry("tenants")

    class Deaf:
        async def start(self) -> None:
            pass

        async def stop(self) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(60)

    inner.add(Deaf(), name="acme")
    shop, _ = outer_of(inner, life, stop_timeout=5)
    closed: list[float] = []

    async def body(system: System) -> None:
        system.shut_down()
        await system.closed()
        closed.append(life.now())

    lived = life.live(shop, body)

    assert lived.report is not None
    assert [("tenants", "stop")] == [(one.component, one.hook) for one in lived.report.abandoned]
    assert closed[0] < 10


def test_a_forced_end_reaches_it(life: Life) -> None:
    """Its stops have no more time than the others."""
    inner = Registry("tenants")
    inner.add(Hooks(life, stop=100), name="acme")
    shop, _ = outer_of(inner, life)

    async def body(system: System) -> None:
        system.signal(signal.SIGINT)
        await anyio.sleep(0.2)
        system.signal(signal.SIGINT)
        await system.closed()

    lived = life.live(shop, body)

    assert lived.report is not None
    assert Outcome.FORCED is lived.report.outcome
    assert "stop cancelled" in life.words
    assert life.now() < 5


def test_a_forced_end_reaches_its_stop(life: Life) -> None:
    """What is being stopped then has no more time than the others, and is not left behind."""
    inner = Registry("tenants")
    inner.add(Hooks(life, stop=100), name="acme", stop_timeout=200)
    shop, _ = outer_of(inner, life, stop_timeout=200)

    async def body(system: System) -> None:
        system.signal(signal.SIGINT)
        await anyio.sleep(4)
        life.note("forced")
        system.signal(signal.SIGINT)
        await system.closed()

    async def begin(system: System) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(body, system)
            await system.closed()

    lived = life.live(shop, begin, Settings(grace_period=100, close_reserve=50))

    assert lived.report is not None
    assert Outcome.FORCED is lived.report.outcome
    assert ["5 forced", "6 stop cancelled"] == life.log[-3:-1]  # the last second is the others'
    assert () == lived.report.abandoned


# --- its troubles --------------------------------------------------------------------------------


def crashing(inner: Registry, life: Life, after: float = 1.0) -> None:
    """Declare what crashes, and what does not."""
    inner.add(Noted(life, "acme"), name="acme")

    async def beta() -> None:
        await anyio.sleep(after)
        message = "beta is broken"
        raise OSError(message)

    inner.service(beta)


def test_its_crash_is_one_of_its_component(life: Life) -> None:
    """With the cause. What is left of it is stopped when it is its turn."""
    inner = Registry("tenants")
    crashing(inner, life, after=2)
    shop, _ = outer_of(inner, life)

    async def body(system: System) -> None:
        await system.closed()

    lived = life.live(shop, body)

    assert lived.report is not None
    assert Outcome.CRASHED is lived.report.outcome
    (error,) = lived.report.errors
    assert isinstance(error, CrashedError)
    assert "tenants" == error.component
    assert "beta is broken" in str(leaf(error.__cause__ or error))
    assert life.log[3:] == [
        "2 acme.drain",
        "2 web.drain",
        "3 database.drain",
        "3 web.stop",
        "4 acme.stop",
        "4 database.stop",
    ]


def test_the_crash_of_an_optional_one_leaves_the_system_running(life: Life) -> None:
    """Degraded."""
    inner = Registry("tenants")
    crashing(inner, life)
    shop = Registry("shop")
    tenants = shop.add(nested(inner), name="tenants", optional=True)

    async def body(system: System) -> None:
        await anyio.sleep(2)
        assert system.get(tenants) is None
        assert system.status().ready

    lived = life.live(shop, body)

    assert lived.error is None


def test_one_that_ends_by_itself_has_crashed(life: Life) -> None:
    """It was to run as long as its component."""
    inner = Registry("tenants")
    inner.add(Noted(life, "acme"), name="acme")
    shop, tenants = outer_of(inner, life)

    async def body(system: System) -> None:
        system[tenants].shut_down("no tenants are left")
        await system.closed()

    lived = life.live(shop, body)

    assert lived.report is not None
    assert Outcome.CRASHED is lived.report.outcome
    (error,) = lived.report.errors
    assert isinstance(error.__cause__, ClosedError)
    assert "it ended by itself: no tenants are left" in str(error)


def test_when_it_cannot_start(life: Life) -> None:
    """The start of the component fails, with the cause, when all of it is rolled back."""
    inner = Registry("tenants")
    first = inner.add(Noted(life, "acme"), name="acme")

    @inner.component(requires=[first])
    async def beta() -> None:
        message = "beta is broken"
        raise OSError(message)

    shop, _ = outer_of(inner, life)

    lived = life.live(shop)

    assert isinstance(lived.error, StartError)
    assert "tenants" == lived.error.component
    assert "beta is broken" in str(lived.error)
    assert life.words == [
        "database.start",
        "acme.start",
        "acme.drain",
        "acme.stop",
        "database.drain",
        "database.stop",
    ]


def test_a_shutdown_while_it_starts(life: Life) -> None:
    """It is given up, and is not waited for longer than the component that it is."""
    inner = Registry("tenants")
    first = inner.add(Hooks(life, stop=100), name="acme", stop_timeout=200)

    @inner.component(requires=[first])
    async def beta() -> None:
        await anyio.sleep_forever()

    shop, _ = outer_of(inner, life)

    @shop.service
    async def deploy(own: Lifetime) -> None:
        own.started()
        await anyio.sleep(1)
        own.system.shut_down("a deploy")

    lived = life.live(shop, settings=Settings(stop_timeout=3))

    assert isinstance(lived.error, StopError)
    assert isinstance(lived.error.__cause__, StopError)
    assert "acme" == lived.error.__cause__.component
    assert lived.report is not None
    assert () == lived.report.abandoned
    assert life.log[1:] == [
        "1 drain done",
        "3.7 stop cancelled",
        "3.7 database.drain",
        "3.7 database.stop",
    ]


# --- how it is used ------------------------------------------------------------------------------


def test_its_check_is_asked_with_the_others(life: Life) -> None:
    """A system is as ready as what is in it."""
    inner = Registry("tenants")
    fails: list[object] = []

    async def passes(value: object) -> bool:
        return value not in fails

    inner.component(lambda: "acme", name="acme").check(passes)
    inner.component(lambda: "beta", name="beta", optional=True).check(passes)

    shop = Registry("shop")
    tenants = shop.add(nested(inner, Settings(check_ttl=0)), name="tenants")

    async def body(system: System) -> list[bool]:
        told = []
        for fail in ([], ["beta"], ["acme"]):
            fails[:] = fail
            told += [one.ok for one in (await system.check(tenants))["tenants"]]
        return told

    lived = life.live(shop, body, Settings(check_ttl=0))

    assert lived.error is None
    assert [True, True, False] == lived.result


def test_it_may_be_run_again(life: Life) -> None:
    """By another run of the system around it, or by another attempt at its start; not twice."""
    inner = Registry("tenants")
    inner.add(Noted(life, "acme"), name="acme")
    shop = Registry("shop")
    tenants = nested(inner)
    shop.add(tenants, name="tenants")

    async def body(system: System) -> None:
        with pytest.raises(RuntimeError, match="<Nested 'tenants'> runs already"):
            await tenants.__aenter__()

    assert life.live(shop, body).error is None
    assert life.live(shop).error is None


def test_it_is_not_started_twice_at_once(life: Life) -> None:
    """Not even before it is up; the one that was first is ended as ever."""
    inner = Registry("tenants")

    @inner.component
    async def acme() -> AsyncIterator[None]:
        await anyio.sleep(1)
        yield

    shop = Registry("shop")
    tenants = nested(inner)
    shop.add(tenants, name="one")
    shop.add(tenants, name="two")

    lived = life.live(shop)

    assert isinstance(lived.error, StartError)
    assert "runs already" in str(lived.error)
    assert lived.report is not None
    assert 1 == len(lived.report.errors)
    again = Registry("shop")
    again.add(tenants, name="one")
    assert life.live(again).error is None


def test_what_was_not_entered_cannot_be_left(life: Life) -> None:
    """That is said, and is no assertion of ours."""

    async def main() -> None:
        for one in (nested(Registry("shop")), running(Registry("shop"))):
            with pytest.raises(RuntimeError, match="cannot be left"):
                await one.__aexit__(None, None, None)

    life.run(main)


def test_outside_of_a_component(life: Life) -> None:
    """There is nobody whose time it could have."""

    async def main() -> None:
        async with nested(Registry("tenants")):
            pass

    with pytest.raises(RuntimeError, match="is for `add` and `build`"):
        life.run(main)


def test_what_is_wrong_with_it_is_said_at_once() -> None:
    """As by `running`."""
    inner = Registry("tenants")
    inner.add(object(), name="acme", stop=lambda: None, requires=["nobody"])

    with pytest.raises(UnknownComponentError):
        nested(inner)


def test_running_inside_of_a_generator_has_the_time_of_its_stop(life: Life) -> None:
    """Where a system is wanted for the time of a component, and need not drain with it."""
    inner = Registry("tenants")
    inner.add(Hooks(life, stop=100), name="acme", stop_timeout=200)
    shop = Registry("shop")

    @shop.component(stop_timeout=5)
    async def tenants() -> AsyncIterator[System]:
        async with running(inner, LONG) as system:
            yield system

    shop.add(Noted(life, "web"), name="web", requires=[tenants])

    lived = life.live(shop)

    assert lived.report is not None
    assert ["0 web.stop", "0 drain done", "5 stop cancelled"] == life.log[2:]
    (error,) = lived.report.errors
    assert isinstance(error, StopError)


def test_running_that_drains_already_has_no_more_time_than_that(life: Life) -> None:
    """It was asked to shut down before, and would take as long as its own grace period."""
    inner = Registry("tenants")
    inner.value(1, name="config")
    inner.add(Hooks(life, drain=100), name="acme")
    shop = Registry("shop")

    @shop.component(stop_timeout=5)
    async def tenants() -> AsyncIterator[System]:
        async with running(inner, LONG) as system:
            yield system

    async def body(system: System) -> None:
        system[tenants].shut_down()
        await anyio.sleep(1)

    lived = life.live(shop, body)

    assert lived.report is not None
    (error,) = lived.report.errors
    assert isinstance(error.__cause__, DrainTimeoutError)
    assert "acme" == error.__cause__.component
    # What was left for its drain and its close has shrunk alike, from 293.5 and 5 s to 5 s in all.
    assert "5.916 drain cancelled" in life.log


def test_running_inside_of_a_service_has_an_end_of_its_own(life: Life) -> None:
    """A service decides itself what the end of a system in it means."""
    inner = Registry("tenants")
    inner.add(Noted(life, "acme"), name="acme")
    shop = Registry("shop")

    @shop.service(on_return="ignore")
    async def tenants(own: Lifetime) -> None:
        async with running(inner) as system:
            own.started()
            system.shut_down("it was for once")
            await system.closed()

    async def body(system: System) -> None:
        await anyio.sleep(1)
        assert system.status().ready

    assert life.live(shop, body).error is None


@pytest.mark.rule("R5")
@pytest.mark.parametrize("depth", [1, 3])
def test_an_interrupt_in_it_is_one_of_the_whole(life: Life, depth: int) -> None:
    """A fast shutdown, raised bare; nobody has crashed."""
    shop = Registry("inner")

    @shop.service
    async def orders(own: Lifetime) -> None:
        own.started()
        await anyio.sleep(1)
        raise KeyboardInterrupt

    for number in range(depth):
        inner, shop = shop, Registry(f"around-{number}")
        shop.add(Hooks(life), name="database")
        shop.add(nested(inner), name="nest", requires=["database"])

    async def body(system: System) -> None:
        await system.closed()

    lived = life.live(shop, body)
    assert type(lived.error) is KeyboardInterrupt
    assert lived.report is not None
    assert (Outcome.CLEAN, 130, ()) == (
        lived.report.outcome,
        lived.report.exit_code,
        lived.report.errors,
    )
