from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from lifecycle import Component, Lifetime, Registry, Settings, System, events, requires, running
from lifecycle.errors import (
    ClosedError,
    CrashedError,
    DeadlockError,
    LifecycleError,
    NotReadyError,
    PreflightError,
    StartError,
    StopError,
    UnknownComponentError,
    add_note,
)
from lifecycle.states import State
from tests.engine.kit import Life, Noted, Spy
from tests.engine.parts import fail, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def here() -> System:
    """Give the system that the running hook belongs to."""
    return Lifetime.current().system


@pytest.mark.rule("B1")
def test_a_call_too_early_is_refused_and_says_why(life: Life) -> None:
    """The error has component, state, since when, and whom it waits for."""
    shop = Registry("shop")
    errors: list[NotReadyError] = []

    @shop.component
    async def slow() -> None:
        await anyio.sleep(5)

    @shop.component
    async def jobs(slow: None = requires(slow)) -> str:
        return "jobs"

    @shop.component
    async def eager() -> None:
        await anyio.sleep(2)
        for component in list[Any]([slow, jobs]):
            with pytest.raises(NotReadyError) as caught:
                here()[component]
            errors.append(caught.value)
        assert here().get(jobs) is None
        assert "noop" == here().get(jobs, default="noop")

    lived = life.live(shop)
    assert lived.error is None
    assert [("slow", State.STARTING, 2, ()), ("jobs", State.PENDING, 2, ("slow",))] == [
        (error.component, error.state, error.since, error.waits_for) for error in errors
    ]


@pytest.mark.rule("B1")
def test_a_gate_stays_open_until_the_stop(life: Life) -> None:
    """Others drain through it; while it stops, and after, it is closed."""
    shop = Registry("shop")
    seen: list[str] = []

    def look(when: str) -> None:
        try:
            seen.append(f"{when}: {systems[0][database]}")
        except ClosedError as error:
            seen.append(f"{when}: closed, {error.component}")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "pool"
        look("in its stop")
        await anyio.sleep(1)

    @database.drain
    async def _(pool: str) -> None:
        look("in its drain")

    @shop.component
    async def web(pool: str = requires(database)) -> AsyncIterator[None]:
        yield
        look("in the stop of a dependent")

    @web.drain
    async def _(web: None) -> None:
        look("in the drain of a dependent")

    systems: list[System] = []

    async def body(system: System) -> None:
        systems.append(system)
        look("running")
        system.shut_down()
        look("delaying")
        await system.closed()
        look("closed")
        assert "noop" == system.get(database, default="noop")
        with pytest.raises(ClosedError):
            await system.ready(database)

    lived = life.live(shop, body, Settings(drain_delay=2))
    assert lived.error is None
    assert [
        "running: pool",
        "delaying: pool",
        "in the drain of a dependent: pool",
        "in its drain: pool",
        "in the stop of a dependent: pool",
        "in its stop: closed, database",
        "closed: closed, database",
    ] == seen


@pytest.mark.rule("B1")
def test_waiting_at_a_gate(life: Life) -> None:
    """Whoever waits goes on the moment it is ready, as often as he likes."""
    shop = Registry("shop")

    @shop.component
    async def slow() -> str:
        await anyio.sleep(5)
        return "slow"

    @shop.component
    async def impatient() -> None:
        async def child() -> None:
            life.note(await here().ready(slow))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(child)
        life.note(await here().ready(slow))

    lived = life.live(shop)
    assert lived.error is None
    assert ["5 slow"] * 4 == life.log


@pytest.mark.rule("B2")
@pytest.mark.uvloop
def test_waiting_for_what_waits_for_oneself(life: Life) -> None:
    """It is a deadlock at once, with its path, and not a timeout."""
    shop = Registry("shop")

    def web_() -> Component[Any]:
        return web

    @shop.component
    async def cache() -> None:
        await here().ready(web_())

    @shop.component
    async def auth(cache: None = requires(cache)) -> None: ...

    @shop.component
    async def web(auth: None = requires(auth)) -> None: ...

    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    deadlock = lived.error.__cause__
    assert isinstance(deadlock, DeadlockError)
    assert deadlock.path[0] == deadlock.path[-1]
    assert {"cache", "auth", "web"} == set(deadlock.path)
    assert 4 == len(deadlock.path)


@pytest.mark.rule("B2")
@pytest.mark.uvloop
def test_waiting_for_oneself(life: Life) -> None:
    """The shortest circle."""
    shop = Registry("shop")

    def me() -> Component[Any]:
        return cache

    @shop.component
    async def cache() -> None:
        await here().ready(me())

    lived = life.live(shop)
    assert lived.error is not None
    assert isinstance(lived.error.__cause__, DeadlockError)
    assert ("cache", "cache") == lived.error.__cause__.path


@pytest.mark.rule("B2")
def test_two_that_wait_for_each_other_at_gates(life: Life) -> None:
    """No dependency is declared; the second wait closes the circle, and is refused."""
    shop = Registry("shop")
    handles: dict[str, Component[Any]] = {}
    refused: list[tuple[str, ...]] = []

    async def wait(seconds: float, other: str) -> None:
        await anyio.sleep(seconds)
        try:
            await here().ready(handles[other])
        except DeadlockError as error:
            refused.append(error.path)

    @shop.component
    async def a() -> None:
        await wait(1, "b")

    @shop.component
    async def b() -> None:
        await wait(2, "c")

    @shop.component
    async def c() -> None:
        await wait(3, "a")

    handles.update(a=a, b=b, c=c)
    lived = life.live(shop, observers=[life.observe])
    assert lived.error is None
    assert [("c", "a", "b", "c")] == refused
    assert "3 = running" in life.log


@pytest.mark.rule("B2")
def test_a_child_task_may_wait_for_what_waits_for_its_component(life: Life) -> None:
    """It is not the start: it goes on when the component is there."""
    shop = Registry("shop")
    handles: dict[str, Component[Any]] = {}

    @shop.component
    async def cache() -> AsyncIterator[str]:
        async def child() -> None:
            life.note(f"{await here().ready(handles['web'])} is there")

        async with anyio.create_task_group() as group:
            group.start_soon(child)
            await anyio.sleep(1)
            yield "cache"

    @shop.component
    async def web(cache: str = requires(cache)) -> str:
        await anyio.sleep(2)
        return "web"

    async def body(system: System) -> None:
        await anyio.sleep(1)

    handles["web"] = web
    assert life.live(shop, body).error is None
    assert ["3 web is there"] == life.log


@pytest.mark.rule("B2")
def test_a_deadlock_through_a_wait_that_is_not_a_hooks(life: Life) -> None:
    """A wait outside of any component never is a deadlock."""
    shop, spy = Registry("shop"), Spy()

    @shop.component
    async def slow() -> str:
        await anyio.sleep(3)
        return "slow"

    async def main() -> None:
        async def wait() -> None:
            await anyio.sleep(1)
            life.note(await spy.system.ready(slow))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            async with running(shop, companions=[spy]):
                await anyio.sleep(1)

    life.run(main)
    assert ["3 slow"] == life.log


@pytest.mark.rule("B3")
@pytest.mark.parametrize("optional", [True, False])
def test_waiters_on_what_failed_get_its_error(life: Life, *, optional: bool) -> None:
    """At once; and so do those that wait for what was skipped because of it."""
    shop = Registry("shop")
    errors: list[LifecycleError] = []

    async def wait(component: Component[Any]) -> None:
        try:
            await systems[0].ready(component)
        except LifecycleError as error:
            life.note(type(error).__name__)
            errors.append(error)

    @shop.component(optional=optional)
    async def broken() -> str:
        await anyio.sleep(2)
        message = "broken"
        raise OSError(message)

    @shop.component(optional=optional)
    async def skipped(broken: str = requires(broken)) -> str:
        return "never"

    systems: list[System] = []

    class Companion:
        def __init__(self, system: System) -> None:
            systems.append(system)

        async def __aenter__(self) -> None:
            self._group = anyio.create_task_group()
            await self._group.__aenter__()
            self._group.start_soon(wait, broken)
            self._group.start_soon(wait, skipped)

        async def __aexit__(self, *args: object) -> None:
            await self._group.__aexit__(None, None, None)

    async def body(system: System) -> None:
        with pytest.raises(StartError):
            system[broken]
        with pytest.raises(StartError):
            system[skipped]

    lived = life.live(shop, body, companions=[Companion])
    assert ["2 StartError", "2 StartError"] == life.log
    assert ["broken", "broken"] == [getattr(error, "component", None) for error in errors]
    assert isinstance(errors[0].__cause__, OSError)
    assert errors[0] is not errors[1]
    assert (lived.error is None) is optional


@pytest.mark.rule("B3")
def test_waiters_on_what_can_no_longer_become_ready(life: Life) -> None:
    """A shutdown during the start closes every gate that is not open, at once."""
    shop = Registry("shop")

    @shop.component
    async def slow() -> str:
        try:
            await anyio.sleep(50)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
        return "never"

    @shop.component
    async def pending(slow: str = requires(slow)) -> str:
        return "never"

    @shop.component
    async def asking(life_: Lifetime) -> AsyncIterator[None]:
        async def wait(component: Component[Any]) -> None:
            try:
                await life_.system.ready(component)
            except ClosedError as error:
                life.note(f"{error.component}: {error.reason}")

        async with anyio.create_task_group() as group:
            group.start_soon(wait, slow)
            group.start_soon(wait, pending)
            yield

    @shop.component
    async def timer(asking: None = requires(asking)) -> None:
        await anyio.sleep(3)
        here().shut_down("deploy")

    life.live(shop)
    assert ["3 pending: deploy", "3 slow: deploy"] == sorted(life.log)


@pytest.mark.rule("B4")
@pytest.mark.parametrize("where", ["start", "drain", "stop", "service", "child"])
def test_awaiting_the_end_from_what_the_end_waits_for(life: Life, where: str) -> None:
    """It would never come: a hook or a service that asks is told so at once."""
    shop = Registry("shop")
    refused: list[str] = []

    async def ask() -> None:
        try:
            await here().closed()
        except DeadlockError as error:
            refused.append(str(error))

    if where == "service":

        @shop.service
        async def service(life: Lifetime) -> None:
            life.started()
            await ask()
            await life.wait_draining()

    else:

        @shop.component(name="service")
        async def component() -> AsyncIterator[None]:
            if where == "start":
                await ask()
            if where == "child":
                async with anyio.create_task_group() as group:
                    group.start_soon(ask)
                    yield
            else:
                yield
            if where == "stop":
                await ask()

        if where == "drain":
            component.drain(lambda _: ask())

    lived = life.live(shop)
    assert lived.error is None
    (reason,) = refused
    assert "'service'" in reason
    assert "shut_down" in reason


@pytest.mark.rule("B4")
@pytest.mark.uvloop
def test_awaiting_the_end_inside_a_hold(life: Life) -> None:
    """The end waits for the work."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        with system.hold("order 7"), pytest.raises(DeadlockError, match="order 7"):
            await system.closed()
        life.note("body")
        with system.hold("order 8"):
            async with anyio.create_task_group() as group:
                group.start_soon(child, system)

    async def child(system: System) -> None:
        with pytest.raises(DeadlockError, match="order 8"):
            await system.closed()

    assert life.live(shop, body).error is None


@pytest.mark.uvloop
def test_what_is_no_part_of_the_system(life: Life) -> None:
    """Asking for it is a mistake of the program; `get` never raises."""
    shop, other = Registry("shop"), Registry("other")
    stranger = other.value(1, name="stranger")
    left_out = shop.value(2, name="left_out")

    async def body(system: System) -> None:
        for component in (stranger, left_out):
            with pytest.raises(UnknownComponentError):
                system[component]
            with pytest.raises(UnknownComponentError):
                await system.ready(component)
            assert system.get(component) is None
            assert system.get(component, default=3) == 3

    assert life.live(shop.without(left_out), body).error is None


def test_why_it_is_no_part_of_the_system(life: Life) -> None:
    """It is said which registry it belongs to, or that it was left out, as far as that is known."""
    shop, other = Registry("shop"), Registry("other")
    left_out = shop.value(1, name="left_out")
    off = shop.value(1, name="off", enabled=False)
    here: Component[Any] = shop.value(1, name="here")
    plan = shop.without(left_out).plan()
    absent = ": it is not enabled, or was left out by only() or without()"
    other_one = Registry("shop").value(1, name="here")
    asked: list[tuple[Any, str]] = [
        (left_out, absent),
        (off, absent),
        (other.value(1, name="here"), ", a run of 'shop': it belongs to the registry 'other'"),
        (
            other_one,
            (
                ": it was declared after the plan was made, or in another registry that is called "
                "'shop' too"
            ),
        ),
        (3, ""),
    ]

    async def body(system: System) -> None:
        assert system[here] == 1
        for component, why in asked:
            with pytest.raises(UnknownComponentError) as raised:
                system[component]
            name = getattr(component, "name", "3")
            assert (
                f"'the caller' asks for {name!r}, and it is no part of this system{why}."
            ) == str(raised.value)
        for name, why in (("left_out", absent), ("nobody", "")):
            with pytest.raises(UnknownComponentError) as raised:
                await system.check(name)
            assert f"{name!r}, and it is no part of this system{why}." in str(raised.value)

    assert life.live(plan, body).error is None


@pytest.mark.rule("B1")
def test_a_value_that_is_none_is_a_value(life: Life) -> None:
    """`get` gives it, and not the default."""
    shop = Registry("shop")

    nothing: Component[Any] = shop.value(None, name="nothing")

    async def body(system: System) -> None:
        assert system.get(nothing, default="noop") is None
        assert system[nothing] is None
        assert await system.ready(nothing) is None

    assert life.live(shop, body).error is None


@pytest.mark.uvloop
def test_noted_is_an_object(life: Life) -> None:
    """The value of an object that was added is the object itself."""
    shop = Registry("shop")
    noted = Noted(life, "web")
    web = shop.add(noted, name="web")

    async def body(system: System) -> None:
        assert system[web] is noted

    assert life.live(shop, body).error is None


def test_a_value_by_name(life: Life) -> None:
    """Whatever is asked for by its name is found by it, with a default too; never an error."""
    shop = Registry("shop")
    shop.value(1, name="one")

    async def body(system: System) -> None:
        anything: Any = system
        assert (1, 1, 1) == (anything["one"], await anything.ready("one"), anything.get("one"))
        unknown: list[Any] = ["two", []]
        assert ["none"] * 2 == [anything.get(what, default="none") for what in unknown]

    assert life.live(shop, body).error is None


def test_a_shutdown_without_a_reason(life: Life) -> None:
    """What is no text is refused, and no shutdown asked for."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        anything: Any = system
        with pytest.raises(ValueError, match=r"^reason is None, but must be a text$"):
            anything.shut_down(None)
        assert system.status().ready

    assert life.live(shop, body).error is None


@pytest.mark.rule("B3")
def test_each_who_asks_has_an_error_of_their_own(life: Life) -> None:
    """What one adds to theirs, before or after, is not seen by the others."""
    shop = Registry("shop")
    broken = part(shop, "broken", start=fail, optional=True)

    def asked(system: System) -> StartError:
        with pytest.raises(StartError) as caught:
            system[broken]
        return caught.value

    async def body(system: System) -> None:
        kept = system._engine.component_errors[0]  # noqa: SLF001  its own, which has a note
        add_note(kept, "kept")
        first, second = asked(system), asked(system)
        add_note(first, "added")
        assert ["kept", "added"] == untyped(first).__notes__
        assert ["kept"] == untyped(second).__notes__
        assert ["kept"] == untyped(kept).__notes__

    assert life.live(shop, body).error is None


def untyped(error: BaseException) -> Any:
    """Notes are new in Python 3.11."""
    return error


@pytest.mark.rule("B2")
def test_what_everything_waits_for_waits_for_a_component(life: Life) -> None:
    """A companion that starts, or a preflight check, could wait for ever: that is said at once."""
    shop = Registry("shop")
    part(shop, "database")
    systems: list[System] = []

    @asynccontextmanager
    async def early(system: System) -> AsyncIterator[None]:
        await system.ready(cast("Any", "database"))
        yield

    lived = life.live(shop, companions=[early])
    assert isinstance(lived.error, StartError)
    assert str(lived.error.__cause__) == (
        "this wait could never end: 'early' -> waits for 'database' -> waits for 'early'"
    )
    assert 0 == life.now()

    @asynccontextmanager
    async def late(system: System) -> AsyncIterator[None]:
        systems.append(system)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.ready, cast("Any", "database"))
            yield

    async def body(_: System) -> None:
        await anyio.sleep(1)

    assert life.live(shop, body, companions=[late]).error is None

    @shop.preflight
    async def reachable() -> None:
        await systems[-1].gate(cast("Any", "database")).wait()

    lived = life.live(shop, companions=[late])
    assert isinstance(lived.error, PreflightError)
    assert isinstance(lived.error.__cause__, DeadlockError)


@pytest.mark.rule("D1")
def test_readiness_is_off_before_a_crash_is_told(life: Life) -> None:
    """Whoever is told of it may ask whether the system is ready, and why it is not."""
    shop = Registry("shop")
    seen: list[tuple[bool, str | None]] = []
    systems: list[System] = []

    @shop.service
    async def jobs(life: Lifetime) -> None:
        systems.append(life.system)
        life.started()
        await anyio.sleep(1)
        message = "no broker"
        raise OSError(message)

    def observe(event: events.Event) -> None:
        if isinstance(event, events.ComponentCrashed):
            status = systems[0].status()
            seen.append((status.ready, status.reason))

    async def body(system: System) -> None:
        await system.closed()

    life.live(shop, body, observers=[observe])
    assert [(False, "'jobs' crashed: OSError: no broker")] == seen


@pytest.mark.rule("D8")
def test_nobody_waits_for_the_turn_of_what_has_ended(life: Life) -> None:
    """Waits for the drain and for the stop of what has crashed are over, as those of others."""
    shop = Registry("shop")

    @shop.service(optional=True)
    async def jobs(life: Lifetime) -> None:
        lifetimes.append(life)
        life.started()
        await anyio.sleep(1)
        message = "no broker"
        raise OSError(message)

    lifetimes: list[Lifetime] = []

    async def body(system: System) -> None:
        await lifetimes[0].wait_draining()
        await lifetimes[0].wait_stopping()
        life.note("over")

    life.live(shop, body)
    assert ["1 over"] == life.log


@pytest.mark.rule("B1")
@pytest.mark.parametrize("hook", ["drain", "stop"])
def test_what_failed_as_it_ended_is_closed(life: Life, hook: str) -> None:
    """Like whatever has stopped: what went wrong in its end is the cause of that, and no more."""
    shop = Registry("shop")
    found: list[BaseException] = []

    @shop.component
    async def watcher() -> AsyncIterator[None]:
        yield
        for ask in (here().__getitem__, lambda component: here().ready(component)):
            with pytest.raises(LifecycleError) as caught:
                await cast("Any", ask)(broken)
            found.append(caught.value)

    options: dict[str, Any] = {hook: fail}
    broken = part(shop, "broken", requires=[watcher], **options)

    lived = life.live(shop)

    assert isinstance(lived.error, StopError)
    assert [ClosedError, ClosedError] == [type(error) for error in found]
    assert [StopError, StopError] == [type(error.__cause__) for error in found]


@pytest.mark.rule("R1")
def test_what_crashed_has_crashed_whatever_its_drain_had_done(life: Life) -> None:
    """Its gate raises that, also where its drain had failed before."""
    shop = Registry("shop")
    found: list[BaseException] = []
    drained = anyio.Event()

    async def crash_later() -> None:
        await drained.wait()
        await anyio.sleep(1)
        raise ValueError

    @shop.component
    async def watcher() -> str:
        return "watcher"

    @watcher.drain
    async def _(_: str) -> None:
        await anyio.sleep(2)
        with pytest.raises(LifecycleError) as caught:
            here()[broken]
        found.append(caught.value)

    @shop.component(requires=[watcher])
    async def broken() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(crash_later)
            yield

    @broken.drain
    async def _(_: None) -> None:
        drained.set()
        message = "the drain fails first"
        raise OSError(message)

    life.live(shop)

    assert [CrashedError] == [type(error) for error in found]
