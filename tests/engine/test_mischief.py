"""What users' code may do that nobody expects: none of it hangs, and none of it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import (
    Lifetime,
    Outcome,
    Registry,
    Settings,
    System,
    events,
    requires,
    requires_all,
    running,
    wants,
)
from lifecycle.errors import CrashedError, InvalidComponentError, StartError, StopError
from tests.engine.kit import Life, Noted, Spy
from tests.engine.parts import part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def wait(system: System) -> None:
    """Be the body of a program that has nothing else to do."""
    await system.closed()


def native_group() -> Any:
    """Make a group of asyncio's own, which is new in Python 3.11."""
    return vars(asyncio)["TaskGroup"]()


def only_on_asyncio(life: Life) -> None:
    """Skip the test elsewhere."""
    if life.backend == "trio":
        pytest.skip("asyncio's own way to cancel")


# --- exceptions that are odd ---------------------------------------------------------------------


class ValidationError(Exception):
    """Looks like a group, and is none."""

    exceptions: tuple[str, ...] = ("too short", "too long")

    def __init__(self, message: str, number: int = 1) -> None:
        super().__init__(message)
        self.exceptions = self.exceptions[:number]


@pytest.mark.uvloop
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("where", ["start", "service", "drain", "stop", "check", "preflight"])
def test_an_exception_that_is_no_group_but_has_exceptions(
    life: Life, where: str, number: int
) -> None:
    """It is an error like any other, whatever attributes it has."""
    shop = Registry("shop")
    raised = ValidationError("no", number)

    def hook(of: str) -> None:
        if where == of:
            raise raised

    part(
        shop,
        "web",
        start=lambda: hook("start"),
        drain=lambda: hook("drain"),
        stop=lambda: hook("stop"),
    ).check(lambda _: hook("check"))

    @shop.service(on_return="ignore")
    async def jobs() -> None:
        hook("service")

    shop.preflight(lambda: hook("preflight"))

    async def body(system: System) -> Any:
        return (await system.check())["web"][0].error

    lived = life.live(shop, body, Settings(check_timeout=60))  # on uvloop it is real time
    if where == "check":
        assert "ValidationError" == lived.result
        assert lived.error is None
    else:
        assert lived.error is not None
        assert raised is lived.error.__cause__


# --- cancellations that are nobody's -------------------------------------------------------------


@pytest.mark.uvloop
@pytest.mark.parametrize("hook", ["start", "drain", "stop"])
def test_a_stray_cancellation_raised_by_a_hook(life: Life, hook: str) -> None:
    """Awaiting a cancelled future raises a cancellation that nobody asked for: a failure."""
    only_on_asyncio(life)
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    async def stray() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    class Thing:
        def start(self) -> None: ...

    thing = Thing()
    setattr(thing, hook, stray)
    shop.add(thing, name="thing", requires=database)
    lived = life.live(shop)
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert lived.error is not None
    assert lived.report is not None
    assert lived.report.outcome is not Outcome.CLEAN
    assert "thing" == getattr(lived.error, "component", None)


@pytest.mark.rule("R1")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup is new in Python 3.11")
@pytest.mark.parametrize("when", ["parked", "drain", "other drain", "stop"])
def test_a_native_group_that_crashes_at_any_time(life: Life, when: str) -> None:
    """The groups of asyncio cancel their task with `Task.cancel`, whatever it awaits just then."""
    only_on_asyncio(life)
    shop = Registry("shop")
    at = {"parked": 1.0, "drain": 4.0, "other drain": 6.0, "stop": 8.0}[when]

    async def worker() -> None:
        await anyio.sleep(at)
        message = "worker"
        raise OSError(message)

    database = shop.add(Noted(life, "database", takes=2), name="database")

    @shop.component(requires=database)
    async def pool() -> AsyncIterator[None]:
        try:
            async with native_group() as group:
                group.create_task(worker())
                yield
                await anyio.sleep(2)
        finally:
            life.note("pool ends")

    @pool.drain
    async def _(_: None) -> None:
        await anyio.sleep(2)

    async def body(system: System) -> None:
        with contextlib.suppress(BaseException):
            await anyio.sleep(3)
        if when != "parked":
            system.shut_down()
        await system.closed()

    lived = life.live(shop, body)
    assert lived.error is not None
    assert lived.report is not None
    assert "pool" == getattr(lived.error, "component", None)
    causes = [error.__cause__ for error in lived.report.errors]
    assert any("worker" in str(getattr(c, "exceptions", [c])[0]) for c in causes)
    assert "pool ends" in life.words
    assert ["database.start", "database.drain", "database.stop"] == [
        word for word in life.words if "database" in word
    ]
    assert 1 == len(lived.report.errors)


@pytest.mark.rule("D10")
@pytest.mark.parametrize("when", [0.5, 1.5, 3.5])
def test_a_native_cancellation_of_the_caller(life: Life, when: float) -> None:
    """During the start, the body, or the shutdown: everything is stopped, and it goes on."""
    only_on_asyncio(life)
    shop = Registry("shop")
    shop.add(Noted(life, "web", takes=1), name="web")

    async def work() -> None:
        async with running(shop):
            await anyio.sleep(2)

    async def main() -> None:
        task = asyncio.ensure_future(work())
        await anyio.sleep(when)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        life.note("out")

    life.run(main)
    expected = {
        0.5: ["0 web.start", "0.5 out"],
        1.5: ["0 web.start", "1.5 web.drain", "2.5 web.stop", "3.5 out"],
        3.5: ["0 web.start", "3 web.drain", "4 web.stop", "5 out"],
    }[when]
    assert expected == life.log


@pytest.mark.rule("D10")
def test_a_caller_that_is_cancelled_again_and_again(life: Life) -> None:
    """A second cancellation does not tear the shutdown: it is bounded by the grace period."""
    only_on_asyncio(life)
    shop = Registry("shop")
    shop.add(Noted(life, "web", takes=1), name="web")

    async def work() -> None:
        async with running(shop):
            await anyio.sleep(50)

    async def main() -> None:
        task = asyncio.ensure_future(work())
        for seconds in (1.5, 0.3, 0.3, 0.3, 0.3):
            await anyio.sleep(seconds)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        life.note("out")

    life.run(main)
    assert ["0 web.start", "1.5 web.drain", "2.5 web.stop", "3.5 out"] == life.log


@pytest.mark.uvloop
def test_a_caller_that_is_cancelled_before(life: Life) -> None:
    """No hook is called at all."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    shop.preflight(lambda: life.note("check"))

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with running(shop):
                life.note("body")
        assert scope.cancelled_caught

    life.run(main)
    assert [] == life.words


@pytest.mark.uvloop
def test_a_body_in_a_generator_that_is_closed(life: Life) -> None:
    """A fixture that yields the system is closed by GeneratorExit: a shutdown like any other."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def fixture() -> AsyncGenerator[System, None]:
        async with running(shop) as system:
            yield system

    async def main() -> None:
        generator = fixture()
        await generator.__anext__()
        life.note("body")
        await generator.aclose()

    life.run(main)
    assert ["web.start", "body", "web.drain", "web.stop"] == life.words


# --- generators that do not do what they should --------------------------------------------------


@pytest.mark.rule("R1")
def test_a_generator_that_swallows_the_crash_of_its_group(life: Life) -> None:
    """It is a crash all the same, and its end is clean."""
    shop = Registry("shop")

    async def worker() -> None:
        await anyio.sleep(1)
        raise OSError

    @shop.component
    async def pool() -> AsyncIterator[None]:
        with contextlib.suppress(BaseException):
            async with anyio.create_task_group() as group:
                group.start_soon(worker)
                yield
        life.note("pool ends")

    lived = life.live(shop, wait)
    assert ["1 pool ends"] == life.log
    assert isinstance(lived.error, CrashedError)
    assert lived.report is not None
    assert (lived.error,) == lived.report.errors


@pytest.mark.rule("R1")
def test_a_generator_that_yields_again_after_its_crash(life: Life) -> None:
    """It is closed."""
    shop = Registry("shop")

    async def worker() -> None:
        await anyio.sleep(1)
        raise OSError

    @shop.component
    async def pool() -> AsyncIterator[None]:
        with contextlib.suppress(BaseException):
            async with anyio.create_task_group() as group:
                group.start_soon(worker)
                yield
        try:
            yield
        finally:
            life.note("closed")

    lived = life.live(shop, wait)
    assert ["1 closed"] == life.log
    assert isinstance(lived.error, CrashedError)
    assert lived.report is not None
    assert Outcome.CRASHED is lived.report.outcome


@pytest.mark.rule("R1")
def test_the_cause_of_a_crash_with_two_causes(life: Life) -> None:
    """Of several errors in a group none is lost."""
    shop = Registry("shop")
    ready = anyio.Event()

    async def worker() -> None:
        await ready.wait()
        raise OSError

    @shop.component
    async def pool() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(worker)
            group.start_soon(worker)
            yield

    async def body(system: System) -> None:
        await anyio.sleep(1)
        ready.set()
        await system.closed()

    lived = life.live(shop, body)
    assert isinstance(lived.error, CrashedError)
    causes = getattr(lived.error.__cause__, "exceptions", (lived.error.__cause__,))
    assert all(isinstance(cause, OSError) for cause in causes)
    assert causes


@pytest.mark.rule("S3")
@pytest.mark.parametrize("sync", [True, False])
def test_what_is_abandoned_in_its_start_and_yields_at_last(life: Life, *, sync: bool) -> None:
    """Nobody waits for it, and it is closed, so that its `finally` runs."""
    shop, stuck = Registry("shop"), life.stuck()

    if sync:

        @shop.component(stop_timeout=2, name="late")
        def late_sync() -> Iterator[None]:
            stuck.block()
            try:
                yield
                life.note("never")
            finally:
                life.note("finally")
    else:

        @shop.component(stop_timeout=2, name="late")
        async def late() -> AsyncIterator[None]:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(9)
            try:
                yield
                life.note("never")
            finally:
                life.note("finally")

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError

    async def main() -> None:
        async def release() -> None:
            await anyio.sleep(9)
            stuck.release()

        async with anyio.create_task_group() as group:
            group.start_soon(release)
            with pytest.raises(StartError) as caught:
                async with running(shop, observers=[life.observe]):
                    pass
            assert caught.value.report is not None
            assert ["late"] == [one.component for one in caught.value.report.abandoned]

    life.run(main)
    assert "3 = closed" in life.log
    assert "9 finally" in life.log


# --- calls that end programs ---------------------------------------------------------------------


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_map_that_ends_the_program(life: Life, kind: type[BaseException]) -> None:
    """Its function runs on the loop, in the engine's own time: nothing is torn by it."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    def leave(_: Noted) -> None:
        raise kind(3) if kind is SystemExit else kind

    database.map(leave)
    spy = Spy()
    lived = life.live(shop, companions=[spy])
    report = spy.report
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert (3 if kind is SystemExit else 130) == report.exit_code
    assert lived.error is not None


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("sync", [True, False])
def test_keyboard_interrupt_in_a_preflight_check(life: Life, *, sync: bool) -> None:
    """It is a fast shutdown: nothing is started."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    if sync:

        @shop.preflight
        def check() -> None:
            raise KeyboardInterrupt
    else:

        @shop.preflight
        async def acheck() -> None:
            raise KeyboardInterrupt

    spy = Spy()
    lived = life.live(shop, companions=[spy])
    report = spy.report
    assert [] == life.words
    assert type(lived.error) is KeyboardInterrupt
    assert report.exit_code == 130


@pytest.mark.uvloop
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, ValueError])
def test_an_observer_that_ends_the_program(life: Life, kind: type[BaseException]) -> None:
    """Whatever an observer raises, everything that was started is stopped."""
    shop = Registry("shop")
    shop.add(Noted(life, "database"), name="database")

    def observer(event: events.Event) -> None:
        if isinstance(event, events.ComponentStarted):
            raise kind

    spy = Spy()
    life.live(shop, companions=[spy], observers=[observer])
    assert "closed" == spy.system.status().phase
    assert ["database.start", "database.drain", "database.stop"] == life.words


@pytest.mark.uvloop
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_companion_that_ends_the_program(life: Life, kind: type[BaseException]) -> None:
    """It cannot start: nothing else runs, and nothing hangs."""
    shop = Registry("shop")
    shop.add(Noted(life, "database"), name="database")

    @contextlib.asynccontextmanager
    async def leaving(system: System) -> AsyncIterator[None]:
        raise kind
        yield

    spy = Spy()
    lived = life.live(shop, companions=[leaving, spy])
    assert "closed" == spy.system.status().phase
    assert [] == life.words
    assert lived.error is not None


# --- races of one moment -------------------------------------------------------------------------


@pytest.mark.uvloop
@pytest.mark.parametrize("then", ["return", "raise"])
def test_started_in_a_thread_and_ended_at_once(life: Life, then: str) -> None:
    """It was ready, and crashed: the order in which it is told on the loop is no matter."""
    shop = Registry("shop")

    @shop.service
    async def server(life_: Lifetime) -> None:
        await life.in_thread(life_.started)
        if then == "raise":
            raise OSError

    lived = life.live(shop, wait)
    assert isinstance(lived.error, (CrashedError, StartError))
    assert "server" == lived.error.component
    assert lived.report is not None
    assert 1 == len(lived.report.errors)


@pytest.mark.rule("S2")
def test_ready_in_the_moment_of_its_timeout(life: Life) -> None:
    """It is one or the other, never both, and the end is consistent."""
    shop = Registry("shop")

    @shop.component(start_timeout=3)
    async def thing() -> AsyncIterator[None]:
        await anyio.sleep(3)
        yield
        life.note("stop")

    lived = life.live(shop, observers=[life.observe])
    assert 1 == len([word for word in life.words if word.startswith("thing started")])
    assert lived.report is not None
    if lived.error is None:
        assert "stop" in life.words
    else:
        assert Outcome.START_FAILED is lived.report.outcome


def test_a_service_ready_in_the_moment_of_its_timeout(life: Life) -> None:
    """The same for `started()`."""
    shop = Registry("shop")

    @shop.service(start_timeout=3)
    async def thing(life: Lifetime) -> None:
        await anyio.sleep(3)
        life.started()
        await life.wait_draining()

    lived = life.live(shop, observers=[life.observe])
    assert 1 == len([word for word in life.words if word.startswith("thing started")])
    assert lived.error is None or isinstance(lived.error, StartError)


@pytest.mark.uvloop
def test_started_after_a_shutdown_was_asked_for(life: Life) -> None:
    """A service that says so too late, and ignores its cancellation, is stopped all the same."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    @shop.service(requires=database)
    async def thing(life_: Lifetime) -> None:
        life_.system.shut_down()
        with contextlib.suppress(anyio.get_cancelled_exc_class()):
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        life_.started()
        with anyio.CancelScope(shield=True):
            await life_.wait_draining()
        life.note("thing ends")

    life.live(shop)
    assert "database.stop" == life.words[-1]
    assert "thing ends" in life.words


@pytest.mark.rule("G3")
def test_what_is_wanted_and_has_crashed_before(life: Life) -> None:
    """Whoever starts later gets the default: there is nothing good in what crashed."""
    shop = Registry("shop")

    @shop.service(optional=True)
    async def metrics(life: Lifetime[str]) -> None:
        life.started("metrics")
        await anyio.sleep(1)
        raise OSError

    slow = shop.add(Noted(life, "slow", takes=2), name="slow")

    @shop.component(requires=slow)
    async def web(metrics: str = wants(metrics, default="noop")) -> str:
        return metrics

    @shop.component(optional=True, requires=slow)
    async def dashboard(metrics: str = requires(metrics)) -> str:
        return metrics

    async def body(system: System) -> Any:
        with pytest.raises(CrashedError):
            system[dashboard]
        return system[web]

    lived = life.live(shop, body)
    assert lived.error is None
    assert "noop" == lived.result


@pytest.mark.uvloop
def test_requires_all_gives_a_tuple(life: Life) -> None:
    """As its documentation says; an empty one too."""
    shop = Registry("shop")
    one = shop.value(1, name="one")

    @shop.component
    async def total(
        some: Any = requires_all([one, one]), none: Any = requires_all([])
    ) -> tuple[Any, Any]:
        return some, none

    async def body(system: System) -> Any:
        return system[total]

    assert ((1, 1), ()) == life.live(shop, body).result


@pytest.mark.uvloop
def test_what_build_makes_may_be_awaitable(life: Life) -> None:
    """Only a coroutine is awaited: a pool that can be awaited is an object with hooks."""
    shop = Registry("shop")

    class Pool(Noted):
        def __await__(self) -> Generator[Any, None, None]:
            life.note("awaited")
            return
            yield

    @shop.build
    def pool() -> Pool:
        return Pool(life, "pool")

    async def body(system: System) -> Any:
        return type(system[pool])

    lived = life.live(shop, body)
    assert lived.error is None
    assert Pool is lived.result
    assert ["pool.start", "pool.drain", "pool.stop"] == life.words


@pytest.mark.rule("K3")
@pytest.mark.uvloop
def test_a_map_has_a_context_of_its_own(life: Life) -> None:
    """It does not run in that of the component that happens to become ready just then."""
    shop = Registry("shop")
    seen: list[str] = []

    @shop.component
    async def database() -> AsyncIterator[int]:
        variable.set("database")
        yield 1
        seen.append(variable.get())

    def derive(value: int) -> int:
        seen.append(variable.get())
        variable.set("derive")
        with contextlib.suppress(LookupError):
            seen.append(Lifetime.current().name)
        return value

    database.map(derive)
    assert life.live(shop).error is None
    assert ["unset", "database"] == seen


@pytest.mark.rule("K3")
@pytest.mark.uvloop
def test_an_observer_has_no_part_in_a_components_context(life: Life) -> None:
    """What it sets is not seen by the hooks in whose task it happens to be told."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[None]:
        yield
        life.note(variable.get())

    def observer(event: events.Event) -> None:
        variable.set("observer")

    assert life.live(shop, observers=[observer]).error is None
    assert ["unset"] == life.words


@pytest.mark.uvloop
def test_leaving_an_iteration_early(life: Life) -> None:
    """`break` out of `until_draining` leaves nothing open."""
    shop = Registry("shop")

    class Numbers:
        number = 0

        def __aiter__(self) -> Numbers:
            return self

        async def __anext__(self) -> int:
            await anyio.lowlevel.checkpoint()
            self.number += 1
            return self.number

    @shop.service
    async def orders(life_: Lifetime) -> None:
        life_.started()
        async for number in life_.until_draining(Numbers()):
            if number == 3:
                break
        await life_.wait_draining()

    assert life.live(shop).error is None


@pytest.mark.uvloop
def test_a_hold_in_a_callback_of_the_loop(life: Life) -> None:
    """There is no task to cancel; it is counted all the same."""
    only_on_asyncio(life)
    shop = Registry("shop")

    async def body(system: System) -> None:
        hold = system.hold("callback")
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def begin() -> None:
            hold.__enter__()
            life.note(str([work.what for work in system.status().in_flight][-1]))
            loop.call_soon(end)

        def end() -> None:
            hold.__exit__(None, None, None)
            done.set()

        loop.call_soon(begin)
        await done.wait()

    assert life.live(shop, body).error is None
    assert ["callback"] == life.words


@pytest.mark.rule("R2")
def test_a_service_that_fails_in_its_stop(life: Life) -> None:
    """After `wait_stopping()` an exception is a failed stop, and no crash."""
    shop = Registry("shop")

    @shop.service
    async def server(life: Lifetime) -> None:
        life.started()
        await life.wait_stopping()
        raise OSError

    @shop.service
    async def ticker() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    lived = life.live(shop)
    assert lived.report is not None
    assert Outcome.INCOMPLETE is lived.report.outcome
    assert {("server", StopError), ("ticker", StopError)} == {
        (getattr(error, "component", ""), type(error)) for error in lived.report.errors
    }


@pytest.mark.rule("R2")
def test_a_service_that_ignores_its_cancellation(life: Life) -> None:
    """It is abandoned half a second later, and holds nobody up."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    @shop.service(requires=database)
    async def ticker() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)
        life.note("ends")

    async def body(system: System) -> None:
        await anyio.sleep(1)

    lived = life.live(shop, body)
    assert lived.report is not None
    assert ["ticker"] == [abandoned.component for abandoned in lived.report.abandoned]
    stop = next(line for line in life.log if "database.stop" in line)
    assert float(stop.split()[0]) < 60
    assert "60 ends" in life.log


@pytest.mark.uvloop
def test_a_component_that_is_required_twice(life: Life) -> None:
    """As a parameter and by keyword: it is one edge."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    @shop.component(requires=[database, "database"], wants=[database], after=database)
    async def web(one: Any = requires(database), two: Any = wants(database)) -> bool:
        return one is two

    async def body(system: System) -> Any:
        return system[web]

    lived = life.live(shop, body)
    assert lived.error is None
    assert lived.result is True
    assert ["database.start", "database.drain", "database.stop"] == life.words


@pytest.mark.uvloop
def test_a_system_that_outlives_nothing(life: Life) -> None:
    """An object whose hooks look at the whole system while it changes."""
    shop = Registry("shop")

    class Nosy:
        def look(self) -> None:
            system = Lifetime.current().system
            life.note(system.status().phase)
            system.status().to_json()

        async def start(self) -> None:
            self.look()

        drain = stop = start

    shop.add(Nosy(), name="nosy")
    assert life.live(shop).error is None
    assert ["starting", "draining", "closing"] == life.words


@pytest.mark.uvloop
def test_an_error_that_cannot_be_printed(life: Life) -> None:
    """An exception whose text raises does not take the report down with it."""
    shop = Registry("shop")

    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise ValueError

        __repr__ = __str__

    @shop.component
    async def thing() -> None:
        raise UnprintableError

    lived = life.live(shop, observers=[life.observe])
    assert isinstance(lived.error, StartError)
    assert isinstance(lived.error.__cause__, UnprintableError)


@pytest.mark.uvloop
def test_an_error_of_ours_raised_by_a_user(life: Life) -> None:
    """A hook may raise `StartError` itself, of itself or of another one."""
    shop = Registry("shop")

    @shop.component(optional=True)
    async def own() -> None:
        component, reason = "own", "my reason"
        raise StartError(component, reason)

    @shop.component(optional=True)
    async def others() -> None:
        component, reason = "somebody", "their reason"
        raise StartError(component, reason)

    async def body(system: System) -> Any:
        errors = []
        for component in (own, others):
            with pytest.raises(StartError) as caught:
                system[component]
            errors.append(caught.value)
        return errors

    lived = life.live(shop, body)
    assert lived.error is None
    first, second = lived.result
    assert ("own", "my reason") == (first.component, first.reason)
    assert "others" == second.component
    assert isinstance(second.__cause__, StartError)


@pytest.mark.rule("K1")
@pytest.mark.uvloop
def test_an_object_that_leaves_a_group_of_a_group_open(life: Life) -> None:
    """The same as one, in whichever order it closes them; nothing hangs."""
    shop = Registry("shop")

    class Holder:
        async def start(self) -> None:
            self.stack = contextlib.AsyncExitStack()
            await self.stack.enter_async_context(anyio.create_task_group())
            group = await self.stack.enter_async_context(anyio.create_task_group())
            group.start_soon(anyio.sleep, 0)

        async def stop(self) -> None:
            await self.stack.aclose()

    shop.add(Holder(), name="holder")
    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert isinstance(lived.error.__cause__, InvalidComponentError)


@pytest.mark.rule("K1")
@pytest.mark.uvloop
def test_an_object_that_leaves_a_group_open_and_has_no_stop(life: Life) -> None:
    """Nobody can close it. That is said, and the loop survives, however it can."""
    shop = Registry("shop")

    class Holder:
        async def start(self) -> None:
            self.scope = anyio.CancelScope()
            self.scope.__enter__()

    shop.add(Holder(), name="holder")
    shop.add(Noted(life, "web"), name="web", after="holder")
    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert "holder" == lived.error.component


class Poller:
    """Leaves a group open from its start on."""

    async def start(self) -> None:
        """Open it."""
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        self.group.start_soon(anyio.sleep_forever)


class LeavingPoller(Poller):
    """Its stop does not close it."""

    async def stop(self) -> None:
        """Do nothing."""


class FailingPoller(Poller):
    """Its stop fails before it can close it."""

    async def stop(self) -> None:
        """Fail."""
        message = "no connection"
        raise ValueError(message)


@pytest.mark.rule("K1")
@pytest.mark.uvloop
@pytest.mark.parametrize("poller", [Poller, LeavingPoller, FailingPoller])
def test_a_group_that_no_stop_closes(life: Life, poller: type[Poller]) -> None:
    """What is to be mended is said all the same, on every loop."""
    shop = Registry("shop")
    shop.add(poller(), name="poller")
    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert isinstance(lived.error.__cause__, InvalidComponentError)
    assert "holds a task group or a cancel scope open" in str(lived.error)


@pytest.mark.rule("S5")
def test_an_error_of_the_users_hides_no_other(life: Life) -> None:
    """What he raises because of a mistake in something else of his is what is told."""
    shop = Registry("shop")

    @shop.component
    async def tenants() -> None:
        inner = Registry("inner")
        nothing: Any = object()
        inner.add(nothing, name="o")
        try:
            inner.plan()
        except InvalidComponentError:
            message = "ask team Y"
            raise RuntimeError(message) from None

    assert ["StartError: 'tenants' did not start: RuntimeError: ask team Y"] == life.live(
        shop
    ).errors


def test_a_grace_period_of_almost_nothing(life: Life) -> None:
    """Everything is asked to end, and the end comes in time."""
    shop = Registry("shop")
    a = shop.add(Noted(life, "a", takes=1), name="a")
    shop.add(Noted(life, "b", takes=1), name="b", requires=a)

    lived = life.live(shop, settings=Settings(grace_period=0.01), observers=[life.observe])
    assert {"a.stop", "b.stop"} <= set(life.words)
    (closed,) = [line for line in life.log if line.endswith("= closed")]
    assert float(closed.split()[0]) <= 2.1
    assert lived.report is not None
    assert Outcome.INCOMPLETE is lived.report.outcome
