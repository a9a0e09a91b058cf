"""Sync code: one thread and one context for each component, from start to stop."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import sqlite3
import threading
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from lifecycle import Lifetime, Registry, Settings, System, requires, running
from lifecycle._engine.engine import Engine
from lifecycle.errors import (
    ClosedError,
    DrainTimeoutError,
    StartError,
    StopError,
    WorkCancelledError,
)
from lifecycle.instruments import Instrument, instrumented
from tests.engine.kit import Life, Noted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def here() -> int:
    """Name the thread that runs."""
    return threading.get_ident()


class Calls(Instrument):
    """Tells when so many more calls in threads were asked for."""

    _left = 0

    def expect(self, number: int) -> anyio.Event:
        self._left = number
        self._asked = anyio.Event()
        return self._asked

    def working(self, component: str) -> contextlib.AbstractContextManager[object]:
        self._left -= 1
        if self._left == 0:
            self._asked.set()
        return super().working(component)


# --- K4 ------------------------------------------------------------------------------------------


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_a_sync_component_has_one_thread_of_its_own(life: Life) -> None:
    """The same from start to stop, never the loop's, never another component's."""
    shop = Registry("shop")
    threads: dict[str, set[int]] = {"one": set(), "two": set(), "object": set()}

    def declare(name: str) -> None:
        @shop.component(name=name)
        def component() -> Iterator[str]:
            threads[name].add(here())
            yield name
            threads[name].add(here())

        component.drain(lambda _: threads[name].add(here()))

    class Thing:
        def start(self) -> None:
            threads["object"].add(here())

        drain = stop = start

    declare("one")
    declare("two")
    shop.add(Thing(), name="object")
    assert life.live(shop).error is None
    assert [1, 1, 1] == [len(idents) for idents in threads.values()]
    assert 4 == len({here(), *(ident for idents in threads.values() for ident in idents)})


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_a_connection_that_belongs_to_its_thread(life: Life) -> None:
    """sqlite3 refuses to be used in, or closed from, another thread than it was opened in."""
    shop = Registry("shop")

    @shop.component
    def database() -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(":memory:")
        connection.execute("create table orders (id)")
        yield connection
        life.note(str(connection.execute("select count(*) from orders").fetchone()))
        connection.close()

    @database.drain
    def _(connection: sqlite3.Connection) -> None:
        connection.execute("insert into orders values (1)")

    assert life.live(shop).error is None
    assert ["(1,)"] == life.words


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_thread_false_is_the_loop(life: Life) -> None:
    """`thread=False`: sync code that must run there, and is quick."""
    shop = Registry("shop")
    idents: list[int] = []

    @shop.component(thread=False)
    def client() -> Iterator[str]:
        anyio.get_current_task()
        idents.append(here())
        yield "client"
        idents.append(here())

    @client.drain
    def _(value: str) -> None:
        idents.append(here())

    @shop.component(thread=False)
    def number() -> int:
        idents.append(here())
        return 1

    assert life.live(shop).error is None
    assert [here()] * 4 == idents


@pytest.mark.rule("K4")
def test_forty_stuck_threads(life: Life) -> None:
    """They keep no other component from starting, and none from stopping."""
    shop, stuck = Registry("shop"), life.stuck()

    def hang() -> Iterator[int]:
        yield 1
        stuck.block()

    forty = [shop.component(hang, name=f"stuck {n}", stop_timeout=2) for n in range(40)]

    @shop.component
    def last() -> Iterator[int]:
        yield 1
        life.note("last stops")

    @shop.component(requires=[last, *forty])
    def first() -> Iterator[int]:
        yield 1
        life.note("first stops")

    async def body(system: System) -> None:
        async def release() -> None:
            await anyio.sleep(10)
            stuck.release()

        async with anyio.create_task_group() as group:
            group.start_soon(release)
            system.shut_down()
            report = await system.closed()
            life.note("closed")
            assert 40 == len(report.abandoned)
            assert {"stop"} == {abandoned.hook for abandoned in report.abandoned}
            assert "in block" in report.abandoned[0].stack

    lived = life.live(shop, body)
    assert ["0 first stops", "0 last stops", "2.5 closed"] == life.log
    assert lived.report is not None
    assert {StopError} == {type(error) for error in lived.report.errors}
    assert 40 == len(lived.report.errors)


@pytest.mark.rule("K4")
def test_a_stuck_drain_in_a_thread(life: Life) -> None:
    """Its stop needs the same thread, and cannot be called before that is free."""
    shop, stuck = Registry("shop"), life.stuck()

    class Thing:
        def start(self) -> None: ...

        def drain(self) -> None:
            stuck.block()
            life.note("drain ends")

        def stop(self) -> None:
            life.note("stop")

    shop.add(Thing(), name="thing", drain_timeout=2, stop_timeout=9)

    async def body(system: System) -> None:
        async def release() -> None:
            await anyio.sleep(5)
            stuck.release()

        async with anyio.create_task_group() as group:
            group.start_soon(release)
            system.shut_down()
            await system.closed()
            life.note("closed")

    lived = life.live(shop, body)
    assert ["5 drain ends", "5 stop", "5 closed"] == life.log
    assert lived.report is not None
    assert ["drain"] == [abandoned.hook for abandoned in lived.report.abandoned]


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_more_sync_components_than_the_default_limiter_has_threads(life: Life) -> None:
    """Forty-one that start at the same moment, each waiting for all the others."""
    shop = Registry("shop")
    barrier = threading.Barrier(41, timeout=20)
    for number in range(41):
        shop.component(barrier.wait, name=str(number))
    assert life.live(shop).error is None


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_a_thread_ends_with_its_component(life: Life) -> None:
    """A value needs none any more; what has a stop keeps it until then."""
    shop = Registry("shop")

    @shop.component
    def value() -> int:
        return 1

    @shop.component
    def generator() -> Iterator[int]:
        yield 1

    def names() -> set[str]:
        return {t.name for t in threading.enumerate() if t.name.startswith("lifecycle ")}

    async def body(system: System) -> None:
        # The thread of `value` was told to end; that it did, `_join_threads` sees in the end.
        assert "lifecycle generator" in names()

    assert life.live(shop, body).error is None


@pytest.mark.rule("K4")
@pytest.mark.uvloop
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, StopIteration])
def test_what_a_thread_raises_arrives_on_the_loop(life: Life, error: type[BaseException]) -> None:
    """Whatever it is: nothing is lost in the thread, and nobody waits for ever."""
    shop = Registry("shop")

    @shop.component
    def thing() -> int:
        raise error

    lived = life.live(shop)
    assert lived.error is not None
    if error is ValueError:
        assert isinstance(lived.error, StartError)
        assert isinstance(lived.error.__cause__, ValueError)


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_a_sync_function_that_returns_an_awaitable(life: Life) -> None:
    """It is called in the thread, and what it returns is awaited on the loop."""
    shop = Registry("shop")
    idents: list[int] = []

    async def later() -> str:
        idents.append(here())
        return "later"

    @shop.component
    def thing() -> Any:
        idents.append(here())
        return later()

    async def body(system: System) -> Any:
        return system[thing]

    assert "later" == life.live(shop, body).result
    assert here() == idents[1]
    assert here() != idents[0]


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_a_thread_thinks_that_no_event_loop_runs(life: Life) -> None:
    """Sync code may run an event loop of its own."""
    shop = Registry("shop")

    async def inner() -> int:
        await anyio.lowlevel.checkpoint()
        return 3

    @shop.component
    def thing() -> int:
        return anyio.run(inner)

    async def body(system: System) -> Any:
        return system[thing]

    lived = life.live(shop, body)
    assert lived.error is None
    assert lived.result == 3


@pytest.mark.rule("K4")
def test_a_shutdown_while_a_check_is_in_the_thread(life: Life) -> None:
    """The drain and the stop come after it in the same thread, and go well."""
    shop = Registry("shop")
    held, go = threading.Event(), threading.Event()

    @shop.component
    def database() -> Iterator[int]:
        yield 1
        life.note("stop")

    database.drain(lambda _: life.note("drain"))

    @database.check
    def _(_: int) -> None:
        held.set()
        go.wait(10)
        life.note("check ends")

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(system.check)
            await life.in_thread(lambda: held.wait(20))
            drain = calls.expect(1)
            system.shut_down()
            await drain.wait()
            go.set()

    calls = Calls()
    with instrumented(calls):
        lived = life.live(shop, body)
    assert lived.error is None
    assert ["check ends", "drain", "stop"] == life.words
    assert lived.report is not None
    assert ("clean", ()) == (lived.report.outcome, lived.report.errors)


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_many_calls_in_one_thread_at_once(life: Life) -> None:
    """One after the other, and none disturbs another: each check says what it has to say."""
    shop = Registry("shop")
    held, go = threading.Event(), threading.Event()
    others: list[int] = []

    @shop.component
    def database() -> Iterator[int]:
        yield 1

    @database.check
    def _(_: int) -> None:
        held.set()
        go.wait(10)
        variable.set("from the first check")

    for number in range(5):

        @database.check(liveness=True)
        def _(_: int, number: int = number) -> None:
            others.append(number)

    answers: list[bool] = []

    async def body(system: System) -> None:
        async def ask(*, liveness: bool) -> None:
            said = await system.check(liveness=liveness)
            answers.extend(result.ok for result in said["database"])

        async with anyio.create_task_group() as group:
            group.start_soon(functools.partial(ask, liveness=False))
            await life.in_thread(lambda: held.wait(20))
            last = calls.expect(5)
            group.start_soon(functools.partial(ask, liveness=True))
            await last.wait()
            assert [] == others
            go.set()

    calls = Calls()
    # On uvloop the first one waits in real time, and the others behind it.
    with instrumented(calls):
        assert life.live(shop, body, Settings(check_timeout=60)).error is None
    assert [True] * 6 == answers
    assert [0, 1, 2, 3, 4] == sorted(others)
    assert "unset" == variable.get()


@pytest.mark.rule("K4")
def test_where_a_thread_is_stuck_that_had_another_call_before(life: Life) -> None:
    """Its stack is shown, though the call that was in the thread as it was asked has ended."""
    shop, stuck = Registry("shop"), life.stuck()
    held, go = threading.Event(), threading.Event()

    @shop.component(stop_timeout=2)
    def database() -> Iterator[int]:
        yield 1
        stuck.block()

    @database.check
    def _(_: int) -> None:
        held.set()
        go.wait(10)

    async def let_go_at(stop: anyio.Event) -> None:
        await stop.wait()
        go.set()

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(system.check)
            await life.in_thread(lambda: held.wait(20))
            group.start_soon(let_go_at, calls.expect(1))
            system.shut_down()
            await system.closed()
            stuck.release()

    calls = Calls()
    with instrumented(calls):
        lived = life.live(shop, body)
    assert lived.report is not None
    (abandoned,) = lived.report.abandoned
    assert ("database", "stop") == (abandoned.component, abandoned.hook)
    assert "in block" in abandoned.stack


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_a_thread_that_could_not_be_started(life: Life) -> None:
    """The hook has failed; a further attempt tries for a thread again, and does not wait for it."""
    shop = Registry("shop")
    start, asked = threading.Thread.start, list[str]()

    def fail_once(thread: threading.Thread) -> None:
        if thread.name == "lifecycle thing":
            asked.append(thread.name)
            if len(asked) == 1:
                message = "can't start new thread"
                raise RuntimeError(message)
        start(thread)

    @shop.component(retry=2)
    def thing() -> int:
        return 1

    async def body(system: System) -> int:
        return system[thing]

    with mock.patch.object(threading.Thread, "start", fail_once):
        lived = life.live(shop, body)
    assert lived.error is None
    assert (1, 2) == (lived.result, len(asked))


# --- K3 ------------------------------------------------------------------------------------------


class Starter:
    """An object that sets the variable in its start, and looks at it in its stop."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    async def start(self) -> None:
        variable.set("start")

    async def stop(self) -> None:
        self.seen.append(variable.get())


class SyncStarter:
    """The same, with a start that runs in its thread."""

    def __init__(self, seen: list[str]) -> None:
        self.stop = Starter(seen).stop

    def start(self) -> None:
        variable.set("start")


class SyncStopper:
    """The same, with a stop that runs in its thread."""

    def __init__(self, seen: list[str]) -> None:
        self.start = Starter(seen).start
        self.seen = seen

    def stop(self) -> None:
        self.seen.append(variable.get())


class Managed:
    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    async def __aenter__(self) -> None:
        variable.set("start")

    async def __aexit__(self, *args: object) -> None:
        self.seen.append(variable.get())


async def generator(seen: list[str]) -> AsyncIterator[None]:
    """Set the variable, and look at it in the stop."""
    variable.set("start")
    yield
    seen.append(variable.get())


def sync_generator(seen: list[str]) -> Iterator[None]:
    """Do the same in a thread."""
    variable.set("start")
    yield
    seen.append(variable.get())


@pytest.mark.rule("K3")
@pytest.mark.uvloop
@pytest.mark.parametrize(
    "kind", [generator, sync_generator, Starter, SyncStarter, SyncStopper, Managed]
)
def test_what_a_start_sets_is_seen_by_drain_and_stop(life: Life, kind: Any) -> None:
    """Context variables live as long as the component, in its thread and on the loop alike."""
    shop = Registry("shop")
    seen: list[str] = []
    thing = (shop.build if isinstance(kind, type) else shop.component)(
        functools.partial(kind, seen), name="thing"
    )

    def drain(value: object) -> None:  # in its thread
        seen.append(variable.get())
        variable.set("drain")

    thing.drain(drain)
    assert life.live(shop).error is None
    assert ["start", "drain"] == seen
    assert "unset" == variable.get()


class Resetting:
    """An object that sets the variable in one hook and resets it in the next."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def set_it(self) -> None:
        self.token = variable.set("set")

    def reset_it(self) -> None:
        variable.reset(self.token)

    def look(self) -> None:
        self._life.note(variable.get())


class OnLoop(Resetting):
    """On the event loop; its stop runs in its thread."""

    async def start(self) -> None:
        self.set_it()

    def check(self) -> None:
        self.look()

    async def drain(self) -> None:
        await anyio.to_thread.run_sync(lambda: None)
        self.reset_it()

    def stop(self) -> None:
        self.look()


class InThread(Resetting):
    """In its thread; its stop runs on the event loop."""

    def start(self) -> None:
        self.set_it()

    async def check(self) -> None:
        self.look()

    def drain(self) -> None:
        self.reset_it()

    async def stop(self) -> None:
        self.look()


@pytest.mark.rule("K3")
@pytest.mark.parametrize("kind", [OnLoop, InThread])
def test_what_is_reset_is_reset_everywhere(life: Life, kind: Any) -> None:
    """A variable that is unset again, on the loop or in the thread, is unset in the other, too."""
    shop = Registry("shop")
    shop.add(kind(life), name="thing")

    async def body(system: System) -> None:
        await system.check()

    assert life.live(shop, body).error is None
    assert ["set", "unset"] == life.words


@pytest.mark.rule("K3")
@pytest.mark.uvloop
@pytest.mark.parametrize("sync", [True, False])
def test_dependents_do_not_see_it(life: Life, *, sync: bool) -> None:
    """What a component sets is no business of others, nor of the body."""
    shop = Registry("shop")
    seen: list[str] = []

    @shop.component
    async def a() -> AsyncIterator[int]:
        variable.set("a")
        yield 1
        seen.append(f"a: {variable.get()}")

    @shop.service
    async def service(life: Lifetime, a: int = requires(a)) -> None:
        seen.append(f"service: {variable.get()}")
        variable.set("service")
        life.started()
        await life.wait_draining()

    if sync:

        @shop.component(requires=service)
        def b() -> Iterator[int]:
            seen.append(f"b: {variable.get()}")
            variable.set("b")
            yield 1
            seen.append(f"b: {variable.get()}")
    else:

        @shop.component(requires=service)
        async def b_async() -> AsyncIterator[int]:
            seen.append(f"b: {variable.get()}")
            variable.set("b")
            yield 1
            seen.append(f"b: {variable.get()}")

    async def body(system: System) -> None:
        seen.append(f"body: {variable.get()}")

    assert life.live(shop, body).error is None
    assert ["service: unset", "b: unset", "body: unset", "b: b", "a: a"] == seen


@pytest.mark.rule("K3")
@pytest.mark.uvloop
def test_the_callers_variables_are_seen(life: Life) -> None:
    """A component's context is a copy of the one in which `running` was entered."""
    shop = Registry("shop")
    seen: list[str] = []

    @shop.component
    async def a() -> None:
        seen.append(variable.get())

    @shop.component
    def b() -> None:
        seen.append(variable.get())

    async def main() -> None:
        variable.set("caller")
        async with running(shop):
            pass

    life.run(main)
    assert ["caller", "caller"] == seen


@pytest.mark.rule("K3")
@pytest.mark.uvloop
def test_a_variable_that_is_reset(life: Life) -> None:
    """A token of the start is good in the stop."""
    shop = Registry("shop")

    @shop.component
    async def a() -> AsyncIterator[None]:
        token = variable.set("a")
        yield
        variable.reset(token)
        life.note(variable.get())

    @shop.component
    def b() -> Iterator[None]:
        token = variable.set("b")
        yield
        variable.reset(token)
        life.note(variable.get())

    assert life.live(shop).error is None
    assert ["unset", "unset"] == life.words


# --- from threads --------------------------------------------------------------------------------


@pytest.mark.uvloop
def test_asking_from_a_thread(life: Life) -> None:
    """What is not async may be called from any thread."""
    shop = Registry("shop")
    web = shop.add(Noted(life, "web"), name="web")
    lifetimes: list[Lifetime[Any]] = []

    @shop.component
    async def thing(life: Lifetime) -> AsyncIterator[int]:
        lifetimes.append(life)
        yield 7

    def ask(system: System) -> None:
        assert system[thing] == 7
        assert system.get(web) is not None
        assert system.status().ready
        assert not system.draining
        (lifetime,) = lifetimes
        assert not lifetime.draining
        assert float("inf") == lifetime.time_left
        with system.hold("order 1"), lifetime.hold("order 2"):
            held = [(work.what, work.component) for work in system.status().in_flight]
            assert [("order 1", None), ("order 2", "thing")] == held[-2:]
        lifetime.unavailable("broker")
        assert not system.status().ready
        lifetime.available()
        assert system.status().ready
        lifetime.extend(5)
        system.shut_down("from a thread", exit_code=3)
        assert not system.status().ready
        assert "from a thread" == lifetime.shutdown_reason

    async def body(system: System) -> None:
        await life.in_thread(lambda: ask(system))
        await system.closed()

    lived = life.live(shop, body)
    assert lived.error is None
    assert lived.report is not None
    assert ("from a thread", 3) == (lived.report.reason, lived.report.exit_code)


@pytest.mark.uvloop
def test_starting_from_a_thread(life: Life) -> None:
    """A service may say from a thread that it has started; a second time is an error there."""
    shop = Registry("shop")

    @shop.service
    async def server(life_: Lifetime[str]) -> None:
        def serve() -> None:
            life_.started("server")
            with pytest.raises(RuntimeError, match="called once"):
                life_.started("again")

        await life.in_thread(serve)
        await life_.wait_draining()

    async def body(system: System) -> str:
        return system[server]

    lived = life.live(shop, body)
    assert lived.error is None
    assert "server" == lived.result


@pytest.mark.rule("D11")
@pytest.mark.uvloop
def test_asking_from_a_thread_after_the_end(life: Life) -> None:
    """It is no error, and nobody is left waiting."""
    shop = Registry("shop")

    async def body(system: System) -> None: ...

    lived = life.live(shop, body)
    system = lived.system
    assert system is not None

    def ask() -> None:
        system.shut_down("too late", exit_code=3)
        with pytest.raises(ClosedError), system.hold("order 1"):
            pass
        assert "closed" == system.status().phase
        assert system.draining

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert system.report is not None
    assert ("the body has ended", 0) == (system.report.reason, system.report.exit_code)


def test_a_hold_in_a_thread_is_waited_for(life: Life) -> None:
    """Its work is in flight like any other."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    stuck = threading.Event()
    held = threading.Event()

    async def body(system: System) -> None:
        def work() -> None:
            with system.hold("order 1"):
                held.set()
                stuck.wait(20)
                life.note("work ends")

        async with anyio.create_task_group() as group:
            group.start_soon(life.in_thread, work)
            await life.in_thread(lambda: held.wait(20))
            system.shut_down()
            await system.wait_draining()
            await anyio.wait_all_tasks_blocked()
            life.note("released")
            stuck.set()

    lived = life.live(shop, body)
    assert lived.error is None
    assert ["web.start", "web.drain", "released", "work ends", "web.stop"] == life.words


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_calling_back_from_a_components_thread(life: Life) -> None:
    """A sync hook may ask the system as well, by `Lifetime.current()`."""
    shop = Registry("shop")

    @shop.component
    def legacy() -> Iterator[int]:
        with Lifetime.current().hold("warm up"):
            assert Lifetime.current().time_left < 61
        yield 1

    @legacy.drain
    def _(value: int) -> None:
        assert Lifetime.current().draining
        Lifetime.current().system.shut_down("again")

    assert life.live(shop).error is None


def test_a_hold_in_a_thread_when_no_work_is_taken_any_more(life: Life) -> None:
    """It is refused, as on the loop."""
    shop = Registry("shop")

    @shop.component
    def legacy() -> Iterator[None]:
        yield
        with pytest.raises(ClosedError), Lifetime.current().hold("too late"):
            life.note("never")
        life.note("refused")

    assert life.live(shop).error is None
    assert ["refused"] == life.words


def test_work_in_a_thread_that_is_cut_off(life: Life) -> None:
    """A thread cannot be interrupted: it is told at the end of its work, whoever waits for that."""
    shop, stuck = Registry("shop"), life.stuck()

    async def body(system: System) -> None:
        def work() -> None:
            with system.hold("order 7"):
                held.set()
                stuck.block()

        def is_told() -> None:
            with pytest.raises(WorkCancelledError):
                work()
            life.note("told")

        held = threading.Event()

        async def carry() -> None:
            await anyio.to_thread.run_sync(is_told)

        async with anyio.create_task_group() as group:
            group.start_soon(carry)
            await life.in_thread(lambda: held.wait(20))
            system.shut_down()
            report = await system.closed()
            life.note("closed")
            assert ["order 7"] == [one.what for one in report.in_flight]
            stuck.release()

    lived = life.live(shop, body, Settings(grace_period=10, close_reserve=2))
    assert isinstance(lived.error, DrainTimeoutError)
    assert ["closed", "told"] == life.words


@pytest.mark.uvloop
def test_a_thread_that_outlives_the_system(life: Life) -> None:
    """Whatever it still says of it is no fault, and comes to nothing."""
    shop = Registry("shop")
    lifetimes: list[Lifetime[Any]] = []

    @shop.service(on_return="ignore")
    async def thing(life: Lifetime) -> None:
        lifetimes.append(life)
        life.started()

    go, held = threading.Event(), threading.Event()

    def work(system: System) -> None:
        (lifetime,) = lifetimes
        with contextlib.suppress(WorkCancelledError), system.hold("order 7"):
            held.set()
            go.wait(20)
        lifetime.extend(5)
        lifetime.unavailable("it is over")
        lifetime.available()
        system.shut_down("too late")
        with contextlib.suppress(ClosedError), lifetime.hold("order 8"):
            life.note("never")
        with pytest.raises(RuntimeError):
            lifetime.started()
        life.note("told")

    async def body(system: System) -> None:
        thread = threading.Thread(target=work, args=[system])
        thread.start()
        await life.in_thread(lambda: held.wait(20))
        system.shut_down()
        await system.closed()
        await anyio.wait_all_tasks_blocked()
        go.set()
        await life.in_thread(lambda: thread.join(20))
        assert not thread.is_alive()

    settings = Settings(grace_period=0.2, close_reserve=0.1)
    with mock.patch.object(Engine, "give_up") as fault:
        lived = life.live(shop, body, settings)
    assert [] == fault.mock_calls
    assert isinstance(lived.error, DrainTimeoutError)
    assert ["told"] == life.words
