"""What a hook can ask and say about its component, and what the system tells everyone."""

from __future__ import annotations

import functools
import json
import math
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import pytest

from lifecycle import Lifetime, Limits, Registry, Settings, System, events
from lifecycle.errors import (
    ClosedError,
    DrainTimeoutError,
    StartTimeoutError,
    StopError,
    WorkCancelledError,
)
from tests.engine.kit import Life, Noted, Spy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


async def wait(system: System) -> None:
    """Be the body of a program that has nothing else to do."""
    await system.closed()


# --- time ----------------------------------------------------------------------------------------


def test_time_left_is_that_of_the_hook_now_running(life: Life) -> None:
    """What `grpc.Server.stop` and others ask for: the deadline, not the timeout."""
    shop = Registry("shop")
    left: list[float] = []

    def look() -> None:
        left.append(round(Lifetime.current().time_left, 3))

    @shop.component(start_timeout=8, drain_timeout=4, stop_timeout=6)
    async def thing() -> AsyncIterator[int]:
        look()
        await anyio.sleep(1)
        look()
        yield 1
        look()
        await anyio.sleep(2)
        look()

    @thing.drain
    async def _(_: int) -> None:
        look()
        await anyio.sleep(3)
        look()

    async def body(system: System) -> None:
        async def look_outside() -> None: ...

    assert life.live(shop, body).error is None
    assert [8, 7, 4, 1, 6, 4] == left


def test_time_left_without_a_hook(life: Life) -> None:
    """Between its hooks a component has all the time in the world."""
    shop = Registry("shop")

    @shop.component
    async def thing() -> AsyncIterator[Lifetime]:
        yield Lifetime.current()

    async def body(system: System) -> float:
        return system[thing].time_left

    assert math.inf == life.live(shop, body).result


def test_time_left_is_never_more_than_the_grace_leaves(life: Life) -> None:
    """However long its own timeout is."""
    shop = Registry("shop")
    left: list[float] = []

    @shop.component(stop_timeout=500)
    async def thing() -> AsyncIterator[None]:
        yield
        left.append(Lifetime.current().time_left)

    assert life.live(shop, settings=Settings(grace_period=20)).error is None
    assert 19 <= left[0] <= 20


@pytest.mark.parametrize("hook", ["start", "drain", "stop"])
def test_extending_moves_the_hooks_own_timeout(life: Life, hook: str) -> None:
    """As often as it is asked for, from the hook or from a task of it."""
    shop = Registry("shop")

    async def work(mine: str) -> None:
        if mine != hook:
            return
        for _ in range(4):
            Lifetime.current().extend(1)
            await anyio.sleep(1)
        life.note(f"{Lifetime.current().time_left:.3f} left")

    @shop.component(start_timeout=2, drain_timeout=2, stop_timeout=2)
    async def thing() -> AsyncIterator[int]:
        await work("start")
        yield 1
        await work("stop")

    thing.drain(lambda _: work("drain"))
    lived = life.live(shop)
    assert lived.error is None
    assert ["4 2.000 left"] == life.log


@pytest.mark.rule("S3", "D7")
@pytest.mark.parametrize(
    "seconds",
    [
        -1,
        math.nan,
        None,
        "5",
        True,
        Decimal("Infinity"),
        mock.ANY,
        pytest.param(-(10**400), id="-huge"),
    ],
)
@pytest.mark.parametrize("sync", [False, True])
def test_an_extension_by_what_is_no_time(life: Life, seconds: Any, *, sync: bool) -> None:
    """It is refused where it is asked for, in a thread too, and nothing else comes of it."""
    shop = Registry("shop")

    def extend() -> None:
        with pytest.raises(ValueError, match=r"^seconds is .*, but must be a number of seconds"):
            Lifetime.current().extend(seconds)
        life.note("refused")

    if sync:
        shop.component(extend, name="thing")
    else:

        @shop.component
        async def thing() -> None:
            extend()

    lived = life.live(shop)

    assert ["0 refused"] == life.log
    assert lived.error is None


@pytest.mark.parametrize("seconds", [math.inf, pytest.param(10**400, id="huge")])
@pytest.mark.parametrize("sync", [False, True])
def test_an_extension_without_end(life: Life, seconds: float, *, sync: bool) -> None:
    """The hook has no timeout of its own any more."""
    shop = Registry("shop")

    @shop.component(start_timeout=1)
    async def thing() -> None:
        if sync:
            await life.in_thread(functools.partial(Lifetime.current().extend, seconds))
        else:
            Lifetime.current().extend(seconds)
        await anyio.sleep(5000)

    assert life.live(shop).error is None


def test_unavailable_for_no_reason(life: Life) -> None:
    """It is available then: what says otherwise could not be told why."""
    shop = Registry("shop")
    nothing: Any = None

    @shop.component
    async def thing() -> None:
        Lifetime.current().unavailable("no broker")
        Lifetime.current().unavailable(nothing)

    async def body(system: System) -> bool:
        return system.status().ready

    assert life.live(shop, body).result


def test_what_is_given_as_a_text_and_is_none(life: Life) -> None:
    """An error as the reason, an id as the work: their texts are taken, and can be written."""
    shop = Registry("shop")
    error: Any = OSError("no broker")
    order: Any = uuid.UUID(int=7)

    @shop.component
    async def thing() -> None:
        Lifetime.current().unavailable(error)

    async def body(system: System) -> Any:
        with system.hold(order):
            return json.loads(system.status().to_json())

    status = life.live(shop, body).result
    assert "no broker" == status["components"]["thing"]["unavailable"]
    assert [str(order)] == [work["what"] for work in status["in_flight"]]


def test_an_extension_that_lapses(life: Life) -> None:
    """What is not extended again runs out."""
    shop = Registry("shop")

    @shop.component(start_timeout=2)
    async def thing() -> None:
        Lifetime.current().extend(3)
        await anyio.sleep(50)

    lived = life.live(shop, observers=[life.observe])
    assert isinstance(lived.error, StartTimeoutError)
    assert "5 = rolling back" in life.log


def test_extending_does_not_outlast_the_grace_period(life: Life) -> None:
    """The grace period stays what it is."""
    shop = Registry("shop")

    @shop.component(stop_timeout=2)
    async def thing() -> AsyncIterator[None]:
        yield
        Lifetime.current().extend(1000)
        await anyio.sleep(100)

    lived = life.live(shop, settings=Settings(grace_period=10), observers=[life.observe])
    assert isinstance(lived.error, StopError)
    (closed,) = [line for line in life.log if line.endswith("= closed")]
    assert 9 <= float(closed.split()[0]) <= 10


def test_extending_too_late(life: Life) -> None:
    """A hook that was cancelled is not saved by it."""
    shop = Registry("shop")

    @shop.component(stop_timeout=2)
    async def thing() -> AsyncIterator[None]:
        yield
        try:
            await anyio.sleep(100)
        finally:
            Lifetime.current().extend(1000)
            with anyio.CancelScope(shield=True):
                await anyio.sleep(100)

    lived = life.live(shop, observers=[life.observe])
    assert isinstance(lived.error, StopError)
    assert "2.5 = closed" in life.log


def test_limits_of_the_settings_come_first(life: Life) -> None:
    """By handle or by name, over what the declaration says."""
    shop = Registry("shop")
    left: dict[str, float] = {}

    def declare(name: str) -> Any:
        @shop.component(name=name, start_timeout=8, stop_timeout=8)
        async def thing() -> AsyncIterator[None]:
            left[f"{name}.start"] = Lifetime.current().time_left
            yield
            left[f"{name}.stop"] = Lifetime.current().time_left

        return thing

    by_handle = declare("by_handle")
    declare("by_name")
    settings = Settings(limits={by_handle: Limits(start=3), "by_name": Limits(start=4, stop=5)})
    assert life.live(shop, settings=settings).error is None
    assert {
        "by_handle.start": 3,
        "by_handle.stop": 8,
        "by_name.start": 4,
        "by_name.stop": 5,
    } == {key: round(seconds, 3) for key, seconds in left.items()}


# --- waiting for the drain -----------------------------------------------------------------------


def test_sleeping_until_the_drain(life: Life) -> None:
    """`while await life.sleep(30)`: it wakes early, and then is False."""
    shop = Registry("shop")

    @shop.service
    async def ticker(life_: Lifetime) -> None:
        life_.started()
        while await life_.sleep(2):
            life.note("tick")
        life.note("last")
        assert not await life_.sleep(100)
        assert life_.draining

    async def body(system: System) -> None:
        await anyio.sleep(5)

    assert life.live(shop, body).error is None
    assert ["2 tick", "4 tick", "5 last"] == life.log


class Numbers:
    """A source that gives a number each second."""

    def __init__(self, until: int = 1000) -> None:
        self.number = 0
        self.until = until

    def __aiter__(self) -> Numbers:
        return self

    async def __anext__(self) -> int:
        await anyio.sleep(1)
        self.number += 1
        if self.number > self.until:
            raise StopAsyncIteration
        return self.number


@pytest.mark.parametrize("of", ["life", "system"])
def test_iterating_until_the_drain(life: Life, of: str) -> None:
    """It ends between two items, never in the middle of one."""
    shop = Registry("shop")

    @shop.service
    async def orders(life_: Lifetime) -> None:
        life_.started()
        source = life_ if of == "life" else life_.system
        async for number in source.until_draining(Numbers()):
            await anyio.sleep(1)
            life.note(f"handled {number}")
        life.note("ends")

    async def body(system: System) -> None:
        await anyio.sleep(3.5)

    assert life.live(shop, body).error is None
    assert ["2 handled 1", "4 handled 2", "4 ends"] == life.log


def test_a_wait_for_the_next_item_is_cut_short(life: Life) -> None:
    """A queue that stays empty does not hold the drain up."""
    shop = Registry("shop")

    @shop.service
    async def orders(life_: Lifetime) -> None:
        life_.started()
        async for number in life_.until_draining(Numbers()):
            life.note(f"handled {number}")
        life.note("ends")

    async def body(system: System) -> None:
        await anyio.sleep(2.5)

    assert life.live(shop, body).error is None
    assert ["1 handled 1", "2 handled 2", "2.5 ends"] == life.log


def test_a_source_that_ends_by_itself(life: Life) -> None:
    """Then so does the loop; and its exceptions are the loop's."""
    shop = Registry("shop")

    async def failing() -> AsyncIterator[int]:
        yield 1
        message = "broker"
        raise OSError(message)

    async def body(system: System) -> list[int]:
        with pytest.raises(OSError, match="broker"):
            [number async for number in system.until_draining(failing())]
        return [number async for number in system.until_draining(Numbers(3))]

    assert [1, 2, 3] == life.live(shop, body).result


def test_who_waits_first_is_told_first(life: Life) -> None:
    """The order is the same every time: that of their coming."""
    if life.backend == "trio":
        pytest.skip("trio shuffles tasks, on purpose")
    shop, told = Registry("shop"), list[int]()

    async def body(system: System) -> None:
        async def wait(number: int) -> None:
            await anyio.sleep(number / 100)
            await system.wait_draining()
            told.append(number)

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(wait, number)
            await anyio.sleep(1)
            system.shut_down()

    life.live(shop, body)
    assert list(range(50)) == told


@pytest.mark.uvloop
def test_iterating_when_it_drains_already(life: Life) -> None:
    """Not one item is taken."""
    shop = Registry("shop")

    async def body(system: System) -> list[int]:
        system.shut_down()
        await system.wait_draining()
        assert system.draining
        return [number async for number in system.until_draining(Numbers())]

    assert [] == life.live(shop, body).result


def test_the_system_drains_as_a_whole(life: Life) -> None:
    """`system.draining` is the phase's, `life.draining` is the component's turn."""
    shop = Registry("shop")

    @shop.service
    async def database(life_: Lifetime) -> None:
        life_.started()
        await life_.system.wait_draining()
        life.note(f"system, {life_.draining}")
        await life_.wait_draining()
        life.note(f"database, {life_.draining}")

    shop.add(Noted(life, "web", takes=2), name="web", requires=database)
    assert life.live(shop).error is None
    noted = [line for line in life.log if "web" not in line]
    assert ["2 system, False", "4 database, True"] == noted


# --- work in flight ------------------------------------------------------------------------------


def test_a_hold_holds_the_drain_of_its_component(life: Life) -> None:
    """`life.hold` is the component's, in whatever task; the drain waits for it, not the others'."""
    shop = Registry("shop")

    @shop.component
    async def jobs() -> AsyncIterator[Lifetime]:
        yield Lifetime.current()
        life.note("jobs stops")

    shop.add(Noted(life, "web"), name="web", requires=jobs)
    database = shop.add(Noted(life, "database"), name="database")
    shop.component(_nothing, name="uses", requires=[database, jobs])

    async def body(system: System) -> None:
        async def work() -> None:
            with system[jobs].hold("job 1"):
                await anyio.sleep(5)
                life.note("job 1 is done")

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await anyio.sleep(1)
            status = system.status()
            assert [("job 1", "jobs", 1)] == [
                (work.what, work.component, round(work.age, 3)) for work in status.in_flight
            ]
            system.shut_down()
            await system.closed()

    assert life.live(shop, body).error is None
    stops = [line for line in life.log if "stop" in line]
    assert "5 job 1 is done" in life.log
    assert {"5 web.stop", "5 jobs stops", "5 database.stop"} == set(stops)


async def _nothing() -> None: ...


def test_a_hold_of_the_system_belongs_to_where_it_is_opened(life: Life) -> None:
    """In a component's task it is that one's; outside, the system's; `component=` decides."""
    shop = Registry("shop")
    other = shop.add(Noted(life, "other"), name="other")

    @shop.service
    async def orders(life_: Lifetime) -> None:
        life_.started()
        with life_.system.hold("mine"), life_.system.hold("other's", component=other):
            await life_.wait_draining()

    async def body(system: System) -> None:
        with system.hold("system's"), system.hold("orders's", component=orders):
            work = system.status().in_flight
            assert [
                ("mine", "orders"),
                ("other's", "other"),
                ("system's", None),
                ("orders's", "orders"),
            ] == [(one.what, one.component) for one in work if one.what != "the body of running"]

    assert life.live(shop, body).error is None


@pytest.mark.rule("D4")
def test_work_that_is_cut_off_is_told_so(life: Life) -> None:
    """The line after the `with` does not run, even if the work caught its cancellation."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def body(system: System) -> None:
        async def handle() -> None:
            with system.hold("order 7"):
                try:
                    await anyio.sleep(50)
                except anyio.get_cancelled_exc_class():
                    life.note("cancelled")
            life.note("never")

        system.shut_down()
        with pytest.raises(WorkCancelledError, match="order 7"):
            await handle()
        life.note("rolled back")
        await system.closed()

    lived = life.live(shop, body, Settings(grace_period=10, close_reserve=2))
    assert ["7.5 cancelled", "7.5 rolled back", "7.5 web.stop"] == life.log[2:]
    assert isinstance(lived.error, DrainTimeoutError)


@pytest.mark.uvloop
def test_a_hold_passes_exceptions_on(life: Life) -> None:
    """Work that fails is over, and its failure is its own."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        with pytest.raises(ValueError, match="order"), system.hold("order 7"):
            int("order")
        assert () == tuple(w for w in system.status().in_flight if "order" in w.what)

    assert life.live(shop, body).error is None


def test_a_hold_that_is_cancelled_by_its_own_scope(life: Life) -> None:
    """A timeout of the user's around it is no loss of ours."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        with anyio.move_on_after(2) as scope, system.hold("order 7"):
            await anyio.sleep(50)
        assert scope.cancelled_caught
        with system.hold("order 8"), anyio.move_on_after(2):
            await anyio.sleep(50)

    lived = life.live(shop, body)
    assert lived.error is None
    assert lived.report is not None
    assert () == lived.report.in_flight


@pytest.mark.uvloop
def test_work_begets_work(life: Life) -> None:
    """Holds nest, and may be opened while it drains; after the end there are none."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        with system.hold("a"), system.hold("b"):
            system.shut_down()
            await system.wait_draining()
            with system.hold("c"):
                assert 3 == len([w for w in system.status().in_flight if len(w.what) == 1])
        await system.closed()
        with pytest.raises(ClosedError), system.hold("d"):
            life.note("never")

    assert life.live(shop, body).error is None
    assert [] == life.words


@pytest.mark.uvloop
def test_a_hold_during_the_start(life: Life) -> None:
    """It is allowed from the start on: what is ready may work already."""
    shop = Registry("shop")

    @shop.component
    async def warm_up(life: Lifetime) -> None:
        with life.hold("warm up"):
            await anyio.lowlevel.checkpoint()

    assert life.live(shop).error is None


# --- rotation and status -------------------------------------------------------------------------


@pytest.mark.rule("R3")
def test_a_component_takes_the_service_out_of_rotation_and_back(life: Life) -> None:
    """`/ready` and the status change; its state and gate stay."""
    shop = Registry("shop")

    @shop.service
    async def orders(life: Lifetime[int]) -> None:
        life.started(1)
        await anyio.sleep(1)
        life.unavailable("no broker")
        life.unavailable("no broker")
        await anyio.sleep(2)
        life.unavailable("still no broker")
        await anyio.sleep(2)
        life.available()
        life.available()
        await life.wait_draining()

    async def body(system: System) -> None:
        for _ in range(4):
            status = system.status()
            orders_ = status.components["orders"]
            life.note(f"ready={status.ready} {orders_.state} {orders_.unavailable}")
            assert system[orders] == 1
            await anyio.sleep(2)

    assert life.live(shop, body, observers=[life.observe]).error is None
    assert [
        "0 ready=True ready None",
        "1 orders unavailable: no broker",
        "2 ready=False ready no broker",
        "3 orders unavailable: still no broker",
        "4 ready=False ready still no broker",
        "5 orders unavailable: None",
        "6 ready=True ready None",
    ] == life.log[4:11]


@pytest.mark.rule("R3")
@pytest.mark.uvloop
def test_an_optional_component_does_not_count(life: Life) -> None:
    """Its being unavailable is shown, and leaves the service in rotation."""
    shop = Registry("shop")

    @shop.component(optional=True)
    async def metrics() -> AsyncIterator[None]:
        Lifetime.current().unavailable("no agent")
        yield

    async def body(system: System) -> tuple[bool, str | None]:
        status = system.status()
        return status.ready, status.components["metrics"].unavailable

    assert (True, "no agent") == life.live(shop, body).result


@pytest.mark.rule("R3")
def test_unavailable_before_it_is_ready(life: Life) -> None:
    """A service may start out of rotation, until its caches are warm."""
    shop = Registry("shop")

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.unavailable("warming up")
        life.started()
        await anyio.sleep(2)
        life.available()
        await life.wait_draining()

    async def body(system: System) -> list[bool]:
        first = system.status().ready
        await anyio.sleep(3)
        return [first, system.status().ready]

    assert [False, True] == life.live(shop, body).result


def test_the_status_is_a_snapshot_and_a_document(life: Life) -> None:
    """Everything that a person asks: phase, components, work, why, how long still."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database", takes=1), name="database")

    @shop.component(optional=True, requires=database)
    async def broken() -> None:
        message = "a secret"
        raise OSError(message)

    async def body(system: System) -> list[Any]:
        before = system.status()
        await anyio.sleep(2)
        with system.hold("order 7"):
            system.shut_down("deploy")
            await anyio.sleep(1)
            after = system.status()
            assert "running" == before.phase
            return [json.loads(before.to_json()), json.loads(after.to_json())]

    lived = life.live(shop, body, Settings(drain_delay=5))
    before, after = lived.result
    assert {
        "phase": "running",
        "ready": True,
        "reason": None,
        "time_left": None,
    }.items() <= before.items()
    assert {
        "name": "database",
        "state": "ready",
        "since": 0.0,
        "optional": False,
        "error": None,
        "unavailable": None,
        "start_time": 1.0,
        "waits_for": [],
        "time_left": None,
        "requires": [],
        "checks": [],
    } == before["components"]["database"]
    assert ("failed", "OSError") == (
        before["components"]["broken"]["state"],
        before["components"]["broken"]["error"],
    )
    assert {"phase": "delaying", "ready": False, "reason": "deploy", "time_left": 24}.items() <= (
        after.items()
    )
    assert {"what": "order 7", "component": None, "age": 1.0} in after["in_flight"]
    assert 3.0 == after["components"]["database"]["since"]
    assert "secret" not in json.dumps(lived.result)


def test_what_is_ready_has_started(life: Life) -> None:
    """Also for who is told of it in the same instant, or looks from another thread."""
    shop = Registry("shop")
    shop.add(Noted(life, "database", takes=1), name="database")
    spy = Spy()
    seen: list[tuple[str, bool, bool]] = []

    def observer(event: events.Event) -> None:
        if isinstance(event, events.PhaseChanged):
            status = spy.system.status()
            seen.append((str(event.phase), status.ready, status.started))

    life.live(shop, companions=[spy], observers=[observer])

    assert [
        ("starting", False, False),
        ("running", True, True),
        ("draining", False, True),
        ("closing", False, True),
        ("closed", False, True),
    ] == seen


def test_the_status_says_what_a_running_hook_has_left(life: Life) -> None:
    """By its own timeout, what was added to it, and the time of the whole; None between hooks."""
    shop = Registry("shop")

    def note(lifetime: Lifetime[Any], hook: str) -> None:
        left = lifetime.system.status().components["thing"].time_left
        assert left is None or lifetime.time_left == left
        life.note(f"{hook}: {left}")

    @shop.component(start_timeout=10, drain_timeout=100, stop_timeout=3)
    async def thing(lifetime: Lifetime[Any]) -> AsyncIterator[Lifetime[Any]]:
        await anyio.sleep(4)
        note(lifetime, "start")
        lifetime.extend(5)
        note(lifetime, "start, extended")
        yield lifetime
        note(lifetime, "stop")

    @thing.drain
    async def _(lifetime: Lifetime[Any]) -> None:
        await anyio.sleep(1)
        note(lifetime, "drain")

    async def body(system: System) -> None:
        note(system[thing], "ready")

    life.live(shop, body, Settings(grace_period=25, close_reserve=5))
    assert [
        "4 start: 6.0",
        "4 start, extended: 11.0",
        "4 ready: None",
        "5 drain: 18.5",
        "5 stop: 3.0",
    ] == life.log


@pytest.mark.uvloop
def test_the_reason_of_a_shutdown(life: Life) -> None:
    """Hooks may ask for it, in words for people."""
    shop = Registry("shop")
    reasons: list[str | None] = []

    @shop.component
    async def thing(life: Lifetime) -> AsyncIterator[None]:
        reasons.append(life.shutdown_reason)
        yield
        reasons.append(life.shutdown_reason)

    async def body(system: System) -> None:
        system.shut_down("deploy")

    assert life.live(shop, body).error is None
    assert [None, "deploy"] == reasons


@pytest.mark.uvloop
def test_readiness_is_off_before_the_call_returns(life: Life) -> None:
    """Whoever asks for a shutdown can rely on it."""
    shop = Registry("shop")

    @shop.component
    def legacy() -> Iterator[None]:
        yield

    async def body(system: System) -> list[bool]:
        before = system.status().ready
        system.shut_down()
        return [before, system.status().ready]

    assert [True, False] == life.live(shop, body).result


@pytest.mark.uvloop
def test_a_lifetime_and_a_system_name_themselves(life: Life) -> None:
    """For people who print them."""
    shop = Registry("shop")

    @shop.component
    async def thing(life: Lifetime) -> str:
        return repr(life)

    async def body(system: System) -> tuple[str, str]:
        return system[thing], repr(system)

    assert ("<Lifetime of 'thing'>", "<System running>") == life.live(shop, body).result
