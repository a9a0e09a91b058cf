from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from lifecycle import Lifetime, Outcome, Registry, Retry, Settings, System, requires
from lifecycle.errors import (
    ClosedError,
    CrashedError,
    DrainTimeoutError,
    StartError,
    StartTimeoutError,
)
from tests.engine.kit import Life, Lived, Noted, Spy
from tests.engine.parts import part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle.events import Event


def outcome(lived: Lived) -> tuple[Outcome, int]:
    """Outcome and exit code."""
    assert lived.report is not None
    return lived.report.outcome, lived.report.exit_code


async def wait(system: System) -> None:
    """Be the body of a program that has nothing else to do."""
    await system.closed()


# --- with and without a Lifetime -----------------------------------------------------------------


@pytest.mark.rule("R2")
def test_without_a_lifetime_it_is_cancelled_at_its_turn_to_stop(life: Life) -> None:
    """It is ready once it runs, works through the drain, and its cancellation is a clean end."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database", takes=1), name="database")

    @shop.service(requires=database)
    async def ticker() -> None:
        try:
            while True:
                life.note("tick")
                await anyio.sleep(1)
        finally:
            life.note("ticker ends")

    async def body(system: System) -> None:
        await anyio.sleep(1.5)

    lived = life.live(shop, body)
    assert [
        "0 database.start",
        "1 tick",
        "2 tick",
        "2.5 database.drain",
        "3 tick",
        "3.5 ticker ends",
        "3.5 database.stop",
    ] == life.log
    assert (Outcome.CLEAN, 0) == outcome(lived)


@pytest.mark.rule("R2")
def test_with_a_lifetime_it_says_when_it_is_ready_and_ends_by_itself(life: Life) -> None:
    """Whoever requires it waits for `started()`; asked to drain it returns, and nobody cuts it."""
    shop = Registry("shop")

    @shop.service
    async def orders(life_: Lifetime) -> None:
        await anyio.sleep(2)
        life_.started()
        life.note("orders is ready")
        await life_.wait_draining()
        await anyio.sleep(3)
        life.note("orders ends")

    shop.add(Noted(life, "web", takes=1), name="web", requires=orders)
    lived = life.live(shop)
    assert [
        "2 orders is ready",
        "2 web.start",
        "3 web.drain",
        "7 orders ends",
        "7 web.stop",
    ] == life.log
    assert (Outcome.CLEAN, 0) == outcome(lived)


@pytest.mark.uvloop
def test_it_may_give_a_value(life: Life) -> None:
    """`Lifetime[Server]`: what it calls `started` with is its value."""
    shop = Registry("shop")

    @shop.service
    async def server(life: Lifetime[str]) -> None:
        life.started("the server")
        await life.wait_draining()

    @shop.component
    async def client(server: str = requires(server)) -> str:
        return f"client of {server}"

    async def body(system: System) -> tuple[str, str]:
        return system[server], system[client]

    assert ("the server", "client of the server") == life.live(shop, body).result


@pytest.mark.rule("R2")
@pytest.mark.uvloop
def test_started_is_called_once(life: Life) -> None:
    """A second call is a mistake of the program, and is told where it is made."""
    shop = Registry("shop")

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.started()
        with pytest.raises(RuntimeError, match="called once"):
            life.started()
        await life.wait_draining()

    assert life.live(shop).error is None


@pytest.mark.uvloop
def test_started_is_for_services(life: Life) -> None:
    """What starts by a hook is ready when that has ended: it cannot say so itself."""
    shop = Registry("shop")

    @shop.component
    async def database(life: Lifetime) -> str:
        with pytest.raises(RuntimeError, match="is no service"):
            life.started()
        return "pool"

    @shop.service
    async def ticker() -> None:
        with pytest.raises(RuntimeError):
            Lifetime.current().started()
        await anyio.sleep_forever()

    @shop.main
    async def nightly(life: Lifetime) -> None:
        with pytest.raises(RuntimeError):
            life.started()
        await life.wait_draining()

    assert life.live(shop).error is None


@pytest.mark.rule("R2")
def test_it_must_say_so_in_time(life: Life) -> None:
    """A service that never calls `started()` is a start that timed out."""
    shop = Registry("shop")

    @shop.service(start_timeout=4)
    async def orders(life_: Lifetime) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            life.note("unwinds")

    lived = life.live(shop)
    assert ["4 unwinds"] == life.log
    assert isinstance(lived.error, StartTimeoutError)
    assert (Outcome.START_FAILED, 69) == outcome(lived)


@pytest.mark.rule("R2")
@pytest.mark.uvloop
def test_returning_before_it_has_started_is_a_failed_start(life: Life) -> None:
    """It never was ready; `on_return` says nothing of that."""
    shop = Registry("shop")

    @shop.service(on_return="ignore")
    async def orders(life: Lifetime) -> None:
        return

    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert "returned before" in str(lived.error)
    assert (Outcome.START_FAILED, 69) == outcome(lived)


@pytest.mark.rule("R2")
@pytest.mark.uvloop
def test_raising_before_it_has_started_is_a_failed_start(life: Life) -> None:
    """The user's exception is the cause."""
    shop = Registry("shop")

    @shop.service
    async def orders(life: Lifetime) -> None:
        message = "no broker"
        raise OSError(message)

    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert isinstance(lived.error.__cause__, OSError)


@pytest.mark.rule("R2")
@pytest.mark.uvloop
def test_started_followed_at_once_by_a_return(life: Life) -> None:
    """That is a crash, not a failed start: it was ready."""
    shop = Registry("shop")

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.started()

    lived = life.live(shop, wait)
    assert isinstance(lived.error, CrashedError)
    assert (Outcome.CRASHED, 70) == outcome(lived)


@pytest.mark.rule("R2")
@pytest.mark.uvloop
def test_started_followed_at_once_by_a_shutdown(life: Life) -> None:
    """It is still a start: what it has is drained and stopped."""
    shop = Registry("shop")

    @shop.service
    async def orders(life_: Lifetime) -> None:
        life_.started()
        life_.system.shut_down("enough")
        await life_.wait_draining()
        life.note("drains")

    lived = life.live(shop)
    assert ["drains"] == life.words
    assert isinstance(lived.error, ClosedError) or lived.error is None


@pytest.mark.rule("R2")
def test_at_the_drain_deadline_it_is_cancelled(life: Life) -> None:
    """A service that does not return when it is asked to drain is cut off, and that is told."""
    shop = Registry("shop")

    @shop.service(drain_timeout=4)
    async def orders(life_: Lifetime) -> None:
        life_.started()
        try:
            await anyio.sleep_forever()
        finally:
            life.note("cancelled")

    lived = life.live(shop)
    assert ["4 cancelled"] == life.log
    assert isinstance(lived.error, DrainTimeoutError)
    assert (Outcome.INCOMPLETE, 75) == outcome(lived)


@pytest.mark.rule("R2")
def test_one_that_awaits_its_stop_counts_as_drained(life: Life) -> None:
    """It serves until nobody uses it any more: what it uses waits, what uses it goes first."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database", takes=1), name="database")

    @shop.service(requires=database)
    async def server(life_: Lifetime) -> None:
        life_.started()
        await life_.wait_draining()
        life.note("server drains")
        await anyio.sleep(2)
        await life_.wait_stopping()
        life.note("server stops")

    shop.add(Noted(life, "client", takes=1), name="client", requires=server)
    lived = life.live(shop)
    assert [
        "0 database.start",
        "1 client.start",
        "2 client.drain",
        "3 server drains",
        "5 database.drain",
        "6 client.stop",
        "7 server stops",
        "7 database.stop",
    ] == life.log
    assert (Outcome.CLEAN, 0) == outcome(lived)


@pytest.mark.rule("R2")
def test_one_that_awaits_its_stop_from_the_beginning(life: Life) -> None:
    """It has nothing to drain, and is never cancelled for that."""
    shop = Registry("shop")

    @shop.service(drain_timeout=1)
    async def server(life_: Lifetime) -> None:
        life_.started()
        await life_.wait_stopping()
        life.note("server stops")
        await anyio.sleep(2)
        life.note("server has stopped")

    shop.add(Noted(life, "slow", takes=3), name="slow", requires=server)
    lived = life.live(shop)
    assert "9 server stops" in life.log
    assert "11 server has stopped" in life.log
    assert lived.error is None


@pytest.mark.rule("R2")
def test_its_stop_has_a_timeout(life: Life) -> None:
    """After `wait_stopping()` it has its `stop_timeout`, and is then cancelled."""
    shop = Registry("shop")

    @shop.service(stop_timeout=2)
    async def server(life_: Lifetime) -> None:
        life_.started()
        await life_.wait_stopping()
        try:
            await anyio.sleep_forever()
        finally:
            life.note("cancelled")

    lived = life.live(shop)
    assert ["2 cancelled"] == life.log
    assert (Outcome.INCOMPLETE, 75) == outcome(lived)


@pytest.mark.rule("R2")
def test_a_child_task_may_wait_for_the_stop(life: Life) -> None:
    """Only the service's own task says by waiting that it has drained."""
    shop = Registry("shop")

    @shop.service(drain_timeout=3)
    async def server(life_: Lifetime) -> None:
        async def child() -> None:
            await life_.wait_stopping()
            life.note("never before the end")

        async with anyio.create_task_group() as group:
            group.start_soon(child)
            life_.started()
            await life_.wait_draining()
            life.note("drains")
            group.cancel_scope.cancel()

    lived = life.live(shop)
    assert ["0 drains"] == life.log
    assert lived.error is None


@pytest.mark.rule("R2")
def test_a_service_is_retried_until_it_has_started(life: Life) -> None:
    """A service that fails before `started()` is tried again; after it, it is a crash."""
    shop = Registry("shop")
    attempts: list[float] = []

    @shop.service(retry=Retry(3, delay=1))
    async def orders(life_: Lifetime) -> None:
        attempts.append(life.now())
        if len(attempts) < 3:
            message = "no broker"
            raise OSError(message)
        life_.started()
        await anyio.sleep(5)
        raise OSError

    lived = life.live(shop, wait)
    assert [0, 1, 3] == attempts
    assert isinstance(lived.error, CrashedError)


# --- returning -----------------------------------------------------------------------------------


@pytest.mark.rule("R1")
@pytest.mark.uvloop
def test_a_service_that_returns_has_crashed(life: Life) -> None:
    """It was to run as long as the system does."""
    shop = Registry("shop")

    @shop.service
    async def orders() -> None:
        life.note("orders returns")

    shop.add(Noted(life, "web"), name="web", requires=orders)
    lived = life.live(shop, wait)
    assert isinstance(lived.error, CrashedError)
    assert "orders" == lived.error.component
    assert (Outcome.CRASHED, 70) == outcome(lived)


def test_its_return_may_be_ignored(life: Life) -> None:
    """`on_return="ignore"`: its work is done, the system runs on."""
    shop = Registry("shop")

    @shop.service(on_return="ignore")
    async def warm_up() -> None:
        await anyio.sleep(1)

    async def body(system: System) -> Any:
        await anyio.sleep(5)
        life.note("body ends")
        return system.status().ready, str(system.status().components["warm_up"].state)

    lived = life.live(shop, body)
    assert ["5 body ends"] == life.log
    assert (True, "ready") == lived.result
    assert (Outcome.CLEAN, 0) == outcome(lived)


def test_its_return_may_be_a_request(life: Life) -> None:
    """`on_return="shut_down"`: it is a request like any other, with its delay."""
    shop = Registry("shop")

    @shop.service(on_return="shut_down")
    async def until_noon() -> None:
        await anyio.sleep(3)

    shop.add(Noted(life, "web"), name="web")
    lived = life.live(shop, wait, Settings(drain_delay=2))
    assert ["0 web.start", "5 web.drain", "5 web.stop"] == life.log
    assert (Outcome.CLEAN, 0) == outcome(lived)
    assert lived.report is not None
    assert "until_noon" in lived.report.reason


def test_a_request_by_returning_waits_for_the_start(life: Life) -> None:
    """A return while others still start is a request once they have."""
    shop = Registry("shop")

    @shop.service(on_return="shut_down")
    async def quick() -> None:
        await anyio.sleep(1)

    shop.add(Noted(life, "slow", takes=3), name="slow")

    async def body(system: System) -> None:
        life.note("body")
        await system.closed()

    lived = life.live(shop, body)
    assert ["0 slow.start", "3 body", "3 slow.drain", "6 slow.stop"] == life.log
    assert lived.error is None


@pytest.mark.parametrize("on_return", ["crash", "ignore", "shut_down"])
def test_a_service_that_raises_has_crashed_in_any_case(life: Life, on_return: Any) -> None:
    """`on_return` is about returning."""
    shop = Registry("shop")

    @shop.service(on_return=on_return)
    async def orders() -> None:
        await anyio.sleep(1)
        raise OSError

    lived = life.live(shop, wait)
    assert isinstance(lived.error, CrashedError)
    assert isinstance(lived.error.__cause__, OSError)
    assert (Outcome.CRASHED, 70) == outcome(lived)


# --- main ----------------------------------------------------------------------------------------


def test_a_main_ends_the_system(life: Life) -> None:
    """It runs when what it requires is ready; its end is a request without delay."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database", takes=1), name="database")

    @shop.main(requires=database)
    async def nightly() -> int:
        life.note("nightly")
        await anyio.sleep(5)
        return 3

    lived = life.live(shop, wait, Settings(drain_delay=4))
    assert ["0 database.start", "1 nightly", "6 database.drain", "7 database.stop"] == life.log
    assert (Outcome.CLEAN, 3) == outcome(lived)
    assert lived.error is None


def test_a_main_is_ready_when_it_begins(life: Life) -> None:
    """What comes after it does not wait for its end."""
    shop = Registry("shop")

    @shop.main
    async def nightly() -> None:
        await anyio.sleep(5)
        life.note("nightly ends")

    shop.add(Noted(life, "web"), name="web", after=nightly)
    lived = life.live(shop, wait)
    assert ["0 web.start", "5 nightly ends", "5 web.drain", "5 web.stop"] == life.log
    assert (Outcome.CLEAN, 0) == outcome(lived)


def test_a_main_drains_by_ending(life: Life) -> None:
    """Asked to drain, it goes on to its end; what it uses waits for that."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    @shop.main(requires=database)
    async def nightly() -> int:
        await anyio.sleep(5)
        life.note("nightly ends")
        return 9

    async def body(system: System) -> None:
        await anyio.sleep(2)

    lived = life.live(shop, body)
    assert ["0 database.start", "5 nightly ends", "5 database.drain", "5 database.stop"] == life.log
    assert (Outcome.CLEAN, 9) == outcome(lived)


def test_a_main_that_ends_during_the_start(life: Life) -> None:
    """Its end shuts the system down once the start is over."""
    shop = Registry("shop")

    @shop.main
    async def nightly() -> int:
        return 5

    shop.add(Noted(life, "slow", takes=2), name="slow")

    async def body(system: System) -> None:
        life.note("body")
        await system.closed()

    lived = life.live(shop, body)
    assert ["0 slow.start", "2 body", "2 slow.drain", "4 slow.stop"] == life.log
    assert (Outcome.CLEAN, 5) == outcome(lived)


def test_a_main_that_has_ended_before_the_start_is_given_up(life: Life) -> None:
    """Its code counts, though somebody else asks for the shutdown before its own end can."""
    shop, spy = Registry("shop"), Spy()

    @shop.main
    async def nightly() -> int:
        return 5

    async def start() -> None:
        await anyio.sleep(1)
        Lifetime.current().system.shut_down("no more")
        await anyio.sleep_forever()

    part(shop, "slow", start=start)

    lived = life.live(shop, companions=[spy])

    assert isinstance(lived.error, ClosedError)
    assert (Outcome.CLEAN, 5) == (spy.report.outcome, spy.report.exit_code)
    assert "no more" == spy.report.reason


@pytest.mark.parametrize("size", [1, 2])
def test_a_main_that_raises_has_crashed(life: Life, size: int) -> None:
    """Its exception is a crash, during the start too."""
    shop = Registry("shop")

    @shop.main
    async def nightly() -> None:
        raise OSError

    if size == 2:
        shop.add(Noted(life, "slow", takes=2), name="slow")
    lived = life.live(shop, wait)
    assert isinstance(lived.error, CrashedError)
    assert (Outcome.CRASHED, 70) == outcome(lived)


@pytest.mark.parametrize("code", [256, -1])
@pytest.mark.uvloop
def test_a_main_with_an_impossible_code(life: Life, code: int) -> None:
    """A code that no process can have is a ValueError, and so a crash."""
    shop = Registry("shop")

    @shop.main
    async def nightly() -> int:
        return code

    lived = life.live(shop, wait)
    assert isinstance(lived.error, CrashedError)
    assert isinstance(lived.error.__cause__, ValueError)


@pytest.mark.parametrize(
    ("returned", "code"), [(None, 0), (0, 0), (7, 7), (255, 255), (True, 1), ("done", 0)]
)
def test_what_a_main_returns(life: Life, returned: Any, code: int) -> None:
    """An int is the exit code, a bool is the int that it is, and anything else is none."""
    shop = Registry("shop")

    @shop.main
    async def nightly() -> Any:
        return returned

    lived = life.live(shop, wait)
    assert lived.report is not None
    assert f"{code}" == f"{lived.report.exit_code}"


@pytest.mark.uvloop
def test_the_body_begins_even_if_a_main_ends_at_once(life: Life) -> None:
    """Whether `running` enters its body is no matter of luck: the start was over, and went well."""
    shop = Registry("shop")

    @shop.main
    async def nightly() -> int:
        return 3

    async def body(system: System) -> None:
        life.note("body")
        await system.closed()

    lived = life.live(shop, body)
    assert ["body"] == life.words
    assert lived.error is None
    assert (Outcome.CLEAN, 3) == outcome(lived)


def test_two_mains(life: Life) -> None:
    """The first code that is not 0 counts."""
    shop = Registry("shop")

    @shop.main
    async def one() -> int:
        return 0

    @shop.main
    async def two() -> int:
        return 7

    shop.add(Noted(life, "slow", takes=2), name="slow")

    lived = life.live(shop, wait)
    assert (Outcome.CLEAN, 7) == outcome(lived)


# --- crashes -------------------------------------------------------------------------------------


@pytest.mark.rule("R1")
def test_dependents_drain_through_what_crashed(life: Life) -> None:
    """It keeps its resources until its turn to stop; its gate tells the crash."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[list[str]]:
        pool = ["open"]

        async def worker() -> None:
            await anyio.sleep(1)
            message = "connection lost"
            raise OSError(message)

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(worker)
                yield pool
        finally:
            pool[0] = "closed"
            life.note("database closes")

    @shop.component
    async def web(pool: list[str] = requires(database)) -> AsyncIterator[list[str]]:
        yield pool
        life.note(f"web stops, {pool[0]}")

    @web.drain
    async def _(pool: list[str]) -> None:
        life.note(f"web drains, {pool[0]}")
        await anyio.sleep(2)
        with pytest.raises(CrashedError):
            systems[0][database]
        with pytest.raises(CrashedError):
            await systems[0].ready(database)
        assert systems[0].get(database) is None
        life.note(f"web has drained, {pool[0]}")

    systems: list[System] = []

    async def body(system: System) -> None:
        systems.append(system)
        await system.closed()

    lived = life.live(shop, body)
    assert [
        "1 web drains, open",
        "3 web has drained, open",
        "3 web stops, open",
        "3 database closes",
    ] == life.log
    assert isinstance(lived.error, CrashedError)
    assert "database" == lived.error.component
    assert isinstance(lived.error.__cause__, OSError)
    assert (Outcome.CRASHED, 70) == outcome(lived)
    assert lived.report is not None
    assert (lived.error,) == lived.report.errors


@pytest.mark.rule("R1")
@pytest.mark.parametrize("kind", ["anyio", "asyncio"])
def test_a_crash_of_a_task_group_held_across_the_yield(life: Life, kind: str) -> None:
    """Whichever group it is, its crash is the component's, with the task's exception as cause."""
    if kind == "asyncio" and life.backend == "trio":
        pytest.skip("asyncio's own group")
    asyncio = pytest.importorskip("asyncio")
    if kind == "asyncio" and not hasattr(asyncio, "TaskGroup"):
        pytest.skip("new in Python 3.11")
    shop = Registry("shop")

    async def worker() -> None:
        await anyio.sleep(1)
        message = "worker"
        raise OSError(message)

    @shop.component
    async def pool() -> AsyncIterator[int]:
        if kind == "anyio":
            async with anyio.create_task_group() as group:
                group.start_soon(worker)
                yield 1
        else:
            async with asyncio.TaskGroup() as native:
                native.create_task(worker())
                yield 1

    @shop.component
    async def web(pool: int = requires(pool)) -> AsyncIterator[None]:
        yield
        life.note("web stops")

    lived = life.live(shop, wait, observers=[life.observe])
    assert isinstance(lived.error, CrashedError)
    assert "pool" == lived.error.component
    assert "worker" == str(lived.error.__cause__)
    assert "1 web stops" in life.log
    assert "1 pool crashed: CrashedError: 'pool' crashed" in life.log
    assert (Outcome.CRASHED, 70) == outcome(lived)


@pytest.mark.rule("R1")
def test_a_crash_during_the_start_of_others(life: Life) -> None:
    """What was ready and crashes before the system runs takes the start down with it."""
    shop = Registry("shop")

    @shop.service
    async def orders() -> None:
        await anyio.sleep(1)
        raise OSError

    @shop.component
    async def slow() -> None:
        try:
            await anyio.sleep(50)
        finally:
            life.note("slow unwinds")

    lived = life.live(shop)
    assert ["1 slow unwinds"] == life.log
    assert isinstance(lived.error, CrashedError)
    assert (Outcome.CRASHED, 70) == outcome(lived)


@pytest.mark.rule("R1")
@pytest.mark.parametrize("phase", ["delay", "drain"])
def test_a_crash_after_the_request(life: Life, phase: str) -> None:
    """It ends the delay, leaves the reason, and makes a clean end incomplete."""
    shop = Registry("shop")

    @shop.service
    async def orders(life_: Lifetime) -> None:
        life_.started()
        if phase == "drain":
            await life_.wait_draining()
        await anyio.sleep(2)
        message = "orders"
        raise OSError(message)

    shop.add(Noted(life, "web", takes=1), name="web", requires=orders)

    async def body(system: System) -> None:
        system.shut_down("deploy")
        await system.closed()

    lived = life.live(shop, body, Settings(drain_delay=9 if phase == "delay" else 0))
    # With a delay: 2 s after its start at 0; else 2 s after its turn to drain.
    assert {
        "delay": ["0 web.start", "2 web.drain", "3 web.stop"],
        "drain": ["0 web.start", "1 web.drain", "4 web.stop"],
    }[phase] == life.log
    assert lived.report is not None
    assert "deploy" == lived.report.reason
    assert (Outcome.INCOMPLETE, 75) == outcome(lived)
    if phase == "delay":
        assert "failed" == lived.report.components["orders"].state


@pytest.mark.rule("R1")
def test_a_crash_of_an_optional_component(life: Life) -> None:
    """The system runs on, degraded: the gate tells the crash, who wanted it keeps the value."""
    shop = Registry("shop")

    @shop.service(optional=True)
    async def metrics(life_: Lifetime[str]) -> None:
        life_.started("metrics")
        await anyio.sleep(1)
        message = "metrics"
        raise OSError(message)

    shop.add(Noted(life, "web"), name="web", wants=metrics)

    async def body(system: System) -> None:
        assert "metrics" == system[metrics]
        await anyio.sleep(5)
        with pytest.raises(CrashedError):
            system[metrics]
        status = system.status()
        assert (True, "failed") == (status.ready, str(status.components["metrics"].state))
        life.note("body ends")

    lived = life.live(shop, body)
    assert ["0 web.start", "5 body ends", "5 web.drain", "5 web.stop"] == life.log
    assert (Outcome.CLEAN, 0) == outcome(lived)
    assert lived.report is not None
    assert () == lived.report.errors
    assert isinstance(lived.report.components["metrics"].error, CrashedError)


@pytest.mark.rule("R1")
@pytest.mark.uvloop
def test_several_crashes(life: Life) -> None:
    """The first is raised; all are in the report."""
    shop = Registry("shop")

    running = anyio.Event()

    async def crash(life: Lifetime) -> None:
        life.started()
        await running.wait()
        raise OSError

    @shop.service
    async def first() -> None:
        await running.wait()
        raise OSError

    for name in ("second", "third"):
        shop.service(crash, name=name)

    async def body(system: System) -> None:
        running.set()
        await system.closed()

    lived = life.live(shop, body)
    assert isinstance(lived.error, CrashedError)
    assert lived.report is not None
    assert lived.error is lived.report.errors[0]
    assert {"first", "second", "third"} == {
        getattr(error, "component", None) for error in lived.report.errors
    }
    assert (Outcome.CRASHED, 70) == outcome(lived)


@pytest.mark.rule("R1")
def test_a_hold_that_ends_by_the_crash_is_cut_off(life: Life) -> None:
    """The group cancels its tasks at once; what they held is lost work, and is told."""
    shop = Registry("shop")

    @shop.component
    async def pool(life_: Lifetime) -> AsyncIterator[int]:
        async def job() -> None:
            with life_.hold("job 7"):
                await anyio.sleep(50)

        async def worker() -> None:
            await anyio.sleep(1)
            raise OSError

        async with anyio.create_task_group() as group:
            group.start_soon(job)
            group.start_soon(worker)
            yield 1

    lived = life.live(shop, wait)
    assert lived.report is not None
    assert [("job 7", "pool")] == [(work.what, work.component) for work in lived.report.in_flight]
    assert isinstance(lived.error, CrashedError)


@pytest.mark.rule("R1")
def test_two_crash_and_a_stop_fails(life: Life) -> None:
    """Nothing keeps the others from being stopped."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[None]:
        yield
        message = "database"
        raise ValueError(message)

    @shop.service(requires=database)
    async def orders() -> None:
        await anyio.sleep(1)
        raise OSError

    shop.add(Noted(life, "web"), name="web", requires=database)
    lived = life.live(shop, wait)
    assert "1 web.stop" in life.log
    assert lived.report is not None
    assert ["orders", "database"] == [getattr(e, "component", "") for e in lived.report.errors]


@pytest.mark.rule("R1")
@pytest.mark.uvloop
def test_a_crash_is_told_to_observers(life: Life) -> None:
    """As it happens, not at the end."""
    shop = Registry("shop")
    told: list[Event] = []

    @shop.service
    async def orders() -> None:
        message = "orders"
        raise OSError(message)

    lived = life.live(shop, wait, observers=[told.append, life.observe])
    assert [
        "= starting",
        "orders starts",
        "orders started",
        "= running",
        "orders crashed: CrashedError: 'orders' crashed: OSError: orders",
        "asked to shut down: 'orders' crashed: OSError: orders",
        "= draining",
    ] == [w for w in life.words if "orders drain" not in w][:7]
    assert lived.error is not None


@pytest.mark.rule("R1")
def test_a_stray_cancellation_is_a_crash(life: Life) -> None:
    """A component that cancels a scope around its own yield has ended by itself."""
    shop = Registry("shop")

    @shop.component
    async def pool() -> AsyncIterator[int]:
        async def cancel() -> None:
            await anyio.sleep(1)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(cancel)
            yield 1
        life.note("pool ends")

    lived = life.live(shop, wait)
    assert ["1 pool ends"] == life.log
    assert isinstance(lived.error, CrashedError)
    assert (Outcome.CRASHED, 70) == outcome(lived)


@pytest.mark.rule("R1")
def test_a_group_that_ends_its_tasks_in_the_stop(life: Life) -> None:
    """Cancelling one's own group after the yield is the ordinary way to stop, and clean."""
    shop = Registry("shop")

    @shop.component
    async def pool() -> AsyncIterator[int]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield 1
            group.cancel_scope.cancel()
        life.note("pool ends")

    lived = life.live(shop)
    assert ["0 pool ends"] == life.log
    assert (Outcome.CLEAN, 0) == outcome(lived)


def test_who_forgets_to_say_that_it_has_started(life: Life) -> None:
    """It is told what is missing."""
    shop = Registry("shop")

    @shop.service(start_timeout=1)
    async def web(lifetime: Lifetime) -> None:
        await lifetime.wait_draining()

    (error,) = life.live(shop).errors
    assert error.endswith(
        "after 1 s: it is still starting, and has not called `started()` on its Lifetime"
    )


@pytest.mark.rule("R2")
@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("waits_for", ["draining", "stopping"])
def test_who_started_too_late_is_told_to_end(life: Life, waits_for: str, *, optional: bool) -> None:
    """A cancellation does not reach a thread, nor who shields himself: he listens to that alone."""
    shop = Registry("shop")

    @shop.service(start_timeout=1, stop_timeout=5, optional=optional)
    async def consumer(lifetime: Lifetime) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2)  # it connects
            lifetime.started()
            waits = {"draining": lifetime.wait_draining, "stopping": lifetime.wait_stopping}
            await waits[waits_for]()
            life.note("consumer ends")

    lived = life.live(shop)
    assert ["2 consumer ends"] == life.log
    assert optional == (lived.error is None)
    assert lived.report is not None
    assert () == lived.report.abandoned


@pytest.mark.rule("S3", "S6")
@pytest.mark.parametrize("why", ["failure", "request"])
@pytest.mark.parametrize("kind", ["service", "component"])
def test_who_is_given_up_as_he_starts_is_told_to_end(life: Life, kind: str, why: str) -> None:
    """Whoever gave it up: a cancellation does not reach him."""
    shop = Registry("shop")

    async def consumer(lifetime: Lifetime) -> None:
        with anyio.CancelScope(shield=True):
            await lifetime.wait_draining()
            life.note("consumer ends")
        await anyio.lowlevel.checkpoint()

    getattr(shop, kind)(consumer)

    @shop.component
    async def other() -> None:
        await anyio.sleep(1)
        if why == "failure":
            raise OSError
        Lifetime.current().system.shut_down("deploy")
        await anyio.sleep(100)

    lived = life.live(shop)
    assert ["1 consumer ends"] == life.log
    assert isinstance(lived.error, StartError if why == "failure" else ClosedError)
    assert lived.report is not None
    assert (1 if why == "failure" else 0) == len(lived.report.errors)
