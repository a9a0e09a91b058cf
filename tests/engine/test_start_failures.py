from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import (
    Lifetime,
    Outcome,
    Registry,
    Retry,
    Settings,
    System,
    events,
    requires,
    running,
)
from lifecycle.errors import (
    ClosedError,
    StartError,
    StartTimeoutError,
    StopError,
)
from tests.engine.kit import Life, Noted, Spy
from tests.engine.parts import fail, forever, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

BROKEN = "no such host"


@pytest.mark.rule("S3")
def test_a_failure_rolls_back_in_reverse_drain_before_stop(life: Life) -> None:
    """What was ready is drained, then stopped, dependents first; nothing more is started."""
    shop = Registry("shop")
    a = shop.add(Noted(life, "a", takes=1), name="a")
    b = shop.add(Noted(life, "b", takes=1), name="b", requires=a)

    @shop.component
    async def c(b: Noted = requires(b)) -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    shop.add(Noted(life, "d"), name="d", requires=c)

    lived = life.live(shop, observers=[life.observe])
    assert [
        "0 = starting",
        "0 a starts",
        "0 a.start",
        "1 a started",
        "1 b starts",
        "1 b.start",
        "2 b started",
        "2 c starts",
        "3 c started: StartError: 'c' did not start: OSError: no such host",
        "3 asked to shut down: 'c' did not start: OSError: no such host",
        "3 = rolling back",
        "3 d skipped because of c",
        "3 b drains",
        "3 b.drain",
        "4 b drained",
        "4 a drains",
        "4 a.drain",
        "5 a drained",
        "5 b stops",
        "5 b.stop",
        "6 b stopped",
        "6 a stops",
        "6 a.stop",
        "7 a stopped",
        "7 = closed",
        "7 closed: start failed, 69: StartError: 'c' did not start: OSError: no such host",
    ] == life.log
    assert isinstance(lived.error, StartError)
    assert lived.error.report is lived.report
    assert isinstance(lived.error.__cause__, OSError)


@pytest.mark.rule("S3")
def test_a_failure_cancels_what_is_still_starting(life: Life) -> None:
    """It does not wait for the others: they are cancelled at once, and unwind."""
    shop = Registry("shop")

    @shop.component
    async def slow() -> AsyncIterator[None]:
        life.note("slow starts")
        try:
            await anyio.sleep(50)
            yield
        finally:
            life.note("slow unwinds")

    @shop.component
    async def broken() -> None:
        await anyio.sleep(2)
        raise OSError(BROKEN)

    lived = life.live(shop)
    assert ["0 slow starts", "2 slow unwinds"] == life.log
    assert ["StartError: 'broken' did not start: OSError: no such host"] == lived.errors
    assert lived.report is not None
    assert Outcome.START_FAILED is lived.report.outcome
    assert "stopped" == lived.report.components["slow"].state
    assert "failed" == lived.report.components["broken"].state


@pytest.mark.rule("S3")
def test_a_timeout_is_a_failure(life: Life) -> None:
    """A start that takes too long is cancelled at its `start_timeout`, and named in the error."""
    shop = Registry("shop")

    @shop.component(start_timeout=3)
    async def slow() -> None:
        try:
            await anyio.sleep(50)
        finally:
            life.note("unwinds")

    lived = life.live(shop)
    assert ["3 unwinds"] == life.log
    assert isinstance(lived.error, StartTimeoutError)
    assert ("slow", 3) == (lived.error.component, lived.error.timeout)


@pytest.mark.rule("S3")
def test_a_cancelled_start_holds_back_what_it_uses(life: Life) -> None:
    """While a start unwinds, what it uses is not stopped: it may need it for that."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "pool"
        life.note("database stops")

    @shop.component
    async def slow(pool: str = requires(database)) -> None:
        try:
            await anyio.sleep(50)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(4)
            life.note("slow has unwound")

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    lived = life.live(shop)
    assert ["5 slow has unwound", "5 database stops"] == life.log
    assert 1 == len(lived.errors)


@pytest.mark.rule("S3")
def test_a_start_that_does_not_unwind_is_abandoned(life: Life) -> None:
    """It has `stop_timeout` to unwind; then it is left behind, and what it uses is stopped."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "pool"
        life.note("database stops")

    @shop.component(stop_timeout=3)
    async def slow(pool: str = requires(database)) -> None:
        try:
            await anyio.sleep(50)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(40)
            life.note("slow ends")

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    lived = life.live(shop, observers=[life.observe])
    assert "4 database stops" in life.log
    assert life.log.index("4 = closed") < life.log.index("41 slow ends")
    assert lived.report is not None
    (abandoned,) = lived.report.abandoned
    assert ("slow", "start") == (abandoned.component, abandoned.hook)
    assert "test_start_failures.py" in abandoned.stack
    assert isinstance(lived.error, StartError)
    assert "broken" == lived.error.component
    assert [StartError, StopError] == [type(error) for error in lived.report.errors]


@pytest.mark.rule("S3")
def test_a_rollback_has_a_grace_period_of_its_own(life: Life) -> None:
    """However long the start took, everything has its time to stop."""
    shop = Registry("shop")

    @shop.component(stop_timeout=6)
    async def database() -> AsyncIterator[str]:
        yield "pool"
        await anyio.sleep(5)
        life.note("database has stopped")

    @shop.component(start_timeout=500)
    async def slow(pool: str = requires(database)) -> None:
        await anyio.sleep(499)
        raise OSError(BROKEN)

    lived = life.live(shop, settings=Settings(grace_period=10, drain_delay=3))
    assert ["504 database has stopped"] == life.log
    assert 1 == len(lived.errors)


@pytest.mark.rule("S3")
def test_a_rollback_ends_within_its_grace_period(life: Life) -> None:
    """A stop that takes too long is cancelled in time."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "pool"
        try:
            await anyio.sleep(50)
        finally:
            life.note("cancelled")

    @shop.component
    async def broken(pool: str = requires(database)) -> None:
        await anyio.sleep(100)
        raise OSError(BROKEN)

    settings = Settings(grace_period=5, start_timeout=200)
    lived = life.live(shop, settings=settings, observers=[life.observe])
    closed = next(line for line in life.log if "= closed" in line)
    assert 104 <= float(closed.split()[0]) <= 105
    assert lived.report is not None
    assert [StartError, StopError] == [type(error) for error in lived.report.errors]


@pytest.mark.rule("S4")
def test_stop_hooks_of_what_never_was_ready_are_not_called(life: Life) -> None:
    """A failed or cancelled start has nothing to stop; a generator's own `finally` runs."""
    shop = Registry("shop")

    class Broken(Noted):
        async def start(self) -> None:
            await super().start()
            raise OSError(BROKEN)

    shop.add(Noted(life, "slow", takes=10), name="slow")
    shop.add(Broken(life, "broken", takes=1), name="broken")

    @shop.component
    async def generator() -> AsyncIterator[None]:
        try:
            await anyio.sleep(5)
            yield
            life.note("never")
        finally:
            life.note("finally")

    @shop.component
    def sync() -> Iterator[None]:
        try:
            yield
        finally:
            life.note("sync stops")

    life.live(shop)
    assert {"0 slow.start", "0 broken.start", "1 finally", "1 sync stops"} == set(life.log)
    assert 4 == len(life.log)


@pytest.mark.rule("S4")
@pytest.mark.uvloop
def test_a_generator_that_fails_unwinds_itself(life: Life) -> None:
    """Its own `async with` is left, in its own task, before anything else is rolled back."""
    shop = Registry("shop")

    class Resource:
        async def __aenter__(self) -> None:
            life.note("open")

        async def __aexit__(self, *args: object) -> None:
            life.note("close")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "pool"
        life.note("database stops")

    @shop.component
    async def broken(pool: str = requires(database)) -> AsyncIterator[None]:
        async with Resource():
            raise OSError(BROKEN)
            yield

    lived = life.live(shop)
    assert ["open", "close", "database stops"] == life.words
    assert isinstance(lived.error, StartError)
    assert isinstance(lived.error.__cause__, OSError)


@pytest.mark.rule("S4")
def test_a_generator_that_is_ready_too_late_unwinds_itself(life: Life) -> None:
    """It yields though its start was cancelled: it is left there, before what it uses."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "pool"
        life.note("database stops")

    @shop.component
    async def late(pool: str = requires(database)) -> AsyncIterator[None]:
        try:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            yield
            life.note("never")
        finally:
            life.note("late unwinds")

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    life.live(shop)
    assert ["5 late unwinds", "5 database stops"] == life.log


@pytest.mark.rule("S5")
def test_all_failures_are_reported_the_first_cause_first(life: Life) -> None:
    """What fails while others unwind, and what fails in the rollback, is in the report as well."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "pool"
        message = "database is gone"
        raise OSError(message)

    @shop.component
    async def slow(pool: str = requires(database)) -> None:
        try:
            await anyio.sleep(50)
        finally:
            message = "cannot unwind"
            raise ValueError(message)

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    lived = life.live(shop)
    assert lived.report is not None
    errors = lived.report.errors
    assert errors[0] is lived.error
    assert [
        ("broken", "OSError('no such host')"),
        ("slow", "ValueError('cannot unwind')"),
        ("database", "OSError('database is gone')"),
    ] == [(getattr(error, "component", None), repr(error.__cause__)) for error in errors]
    notes = getattr(lived.error, "__notes__", [])
    assert 2 == len(notes)
    assert "cannot unwind" in notes[0]
    assert "database is gone" in notes[1]


@pytest.mark.rule("S5")
def test_two_failures_in_the_same_moment(life: Life) -> None:
    """Neither is lost."""
    shop = Registry("shop")

    woken = anyio.Event()

    async def fail() -> None:
        await woken.wait()
        raise OSError(BROKEN)

    shop.component(fail, name="one")
    shop.component(fail, name="two")

    @shop.component
    async def waking() -> None:
        await anyio.sleep(1)
        woken.set()

    lived = life.live(shop)
    assert lived.report is not None
    assert {"one", "two"} == {getattr(error, "component", "") for error in lived.report.errors}
    assert lived.error is lived.report.errors[0]


@pytest.mark.rule("S6")
@pytest.mark.parametrize("delay", [0, 5])
def test_a_shutdown_during_the_start_rolls_back(life: Life, delay: float) -> None:
    """It is no failure, and has no delay; `running` says why it has no body to offer."""
    shop = Registry("shop")
    shop.add(Noted(life, "a"), name="a")

    @shop.component
    async def slow() -> AsyncIterator[None]:
        try:
            await anyio.sleep(50)
            yield
        finally:
            life.note("slow unwinds")

    @shop.component
    async def asking(life: Lifetime) -> None:
        await anyio.sleep(2)
        life.system.shut_down("deploy")

    spy = Spy()
    lived = life.live(shop, settings=Settings(drain_delay=delay), companions=[spy])
    assert isinstance(lived.error, ClosedError)
    assert "deploy" == lived.error.reason
    assert "2 slow unwinds" in life.log
    life.log.remove("2 slow unwinds")
    assert ["0 a.start", "2 a.drain", "2 a.stop"] == life.log
    report = spy.report
    assert (Outcome.CLEAN, 0, "deploy", ()) == (
        report.outcome,
        report.exit_code,
        report.reason,
        report.errors,
    )
    assert report is lived.error.report


@pytest.mark.rule("S6")
def test_a_shutdown_asked_for_by_a_start_hook(life: Life) -> None:
    """The hook that asks is cancelled like the others, and what comes after it is not started."""
    shop = Registry("shop")

    @shop.component
    async def asking() -> None:
        Lifetime.current().system.shut_down("I have seen enough", exit_code=4)
        life.note("asked")
        await anyio.sleep(10)
        life.note("never")

    shop.add(Noted(life, "web"), name="web", requires=asking)
    lived = life.live(shop)
    assert ["0 asked"] == life.log
    assert isinstance(lived.error, ClosedError)
    assert "I have seen enough" == lived.error.reason


@pytest.mark.rule("S6")
def test_a_start_that_ends_although_it_was_cancelled(life: Life) -> None:
    """What became ready in spite of its cancellation is stopped like everything that was ready."""
    shop = Registry("shop")

    class Stubborn(Noted):
        async def start(self) -> None:
            with anyio.CancelScope(shield=True):
                await super().start()

    shop.add(Stubborn(life, "stubborn", takes=4), name="stubborn")

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    lived = life.live(shop)
    assert ["0 stubborn.start", "4 stubborn.drain", "8 stubborn.stop"] == life.log
    assert 1 == len(lived.errors)


@pytest.mark.rule("S3")
def test_a_generator_that_yields_although_it_was_cancelled(life: Life) -> None:
    """It unwinds from its yield; it is not left suspended."""
    shop = Registry("shop")

    @shop.component
    async def stubborn() -> AsyncIterator[None]:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        try:
            yield
        finally:
            life.note("unwound")

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    lived = life.live(shop)
    assert ["5 unwound"] == life.log
    assert 1 == len(lived.errors)


@pytest.mark.rule("S3")
def test_a_sync_start_that_ends_after_the_start_was_given_up(life: Life) -> None:
    """A thread cannot be cancelled: when its start has ended at last, it is stopped."""
    shop, stuck = Registry("shop"), life.stuck()

    @shop.component
    def legacy() -> Iterator[int]:
        stuck.block()
        life.note("legacy is there")
        yield 1
        life.note("legacy stops")

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    async def main() -> None:
        async def release() -> None:
            await anyio.sleep(4)
            stuck.release()

        async with anyio.create_task_group() as group:
            group.start_soon(release)
            with pytest.raises(StartError) as caught:
                async with running(shop):
                    pass
            life.note("closed")
            assert caught.value.report is not None
            assert () == caught.value.report.abandoned

    life.run(main)
    assert ["4 legacy is there", "4 legacy stops", "4 closed"] == life.log


@pytest.mark.rule("S2")
def test_the_start_timeout_runs_from_the_call_of_the_hook(life: Life) -> None:
    """What waits for its dependencies loses no time of its own."""
    shop = Registry("shop")

    @shop.component
    async def slow() -> None:
        await anyio.sleep(50)

    @shop.component(start_timeout=2, requires=slow)
    async def quick() -> None:
        await anyio.sleep(1)

    assert life.live(shop).error is None


def test_the_whole_start_may_have_a_limit(life: Life) -> None:
    """`startup_timeout` names what was still starting when it ran out."""
    shop = Registry("shop")
    slow = shop.add(Noted(life, "slow", takes=50), name="slow")
    shop.add(Noted(life, "web", takes=50), name="web", requires=slow)

    lived = life.live(shop, settings=Settings(startup_timeout=70))
    assert isinstance(lived.error, StartTimeoutError)
    assert ("web", 70) == (lived.error.component, lived.error.timeout)
    assert "startup_timeout" == lived.error.limit
    assert ["0 slow.start", "50 web.start", "70 slow.drain"] == life.log[:3]


def test_a_limit_of_the_whole_start_with_only_optional_ones_left(life: Life) -> None:
    """What is optional does not fail the start: it fails by itself, and the system runs."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    shop.add(Noted(life, "slow", takes=50), name="slow", optional=True)

    async def body(system: System) -> None:
        life.note("body")

    lived = life.live(shop, body, settings=Settings(startup_timeout=5))
    assert lived.error is None
    assert "5 body" in life.log


@pytest.mark.rule("S3")
def test_an_optional_component_may_fail(life: Life) -> None:
    """The system runs without it; its error stands in the report of the component alone."""
    shop = Registry("shop")

    @shop.component(optional=True)
    async def broken() -> None:
        raise OSError(BROKEN)

    @shop.component(optional=True, start_timeout=3)
    async def slow() -> None:
        await anyio.sleep(50)

    async def body(system: System) -> None:
        life.note("body")
        assert system.status().ready

    lived = life.live(shop, body)
    assert ["3 body"] == life.log
    assert lived.report is not None
    assert (Outcome.CLEAN, 0, ()) == (
        lived.report.outcome,
        lived.report.exit_code,
        lived.report.errors,
    )
    assert isinstance(lived.report.components["broken"].error, StartError)
    assert isinstance(lived.report.components["slow"].error, StartTimeoutError)


def test_an_optional_start_that_timed_out_unwinds_while_the_system_runs(life: Life) -> None:
    """Nobody waits for it, but what it uses is not stopped before it has unwound."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "pool"
        life.note("database stops")

    @shop.component(optional=True, start_timeout=1, stop_timeout=8)
    async def slow(pool: str = requires(database)) -> None:
        try:
            await anyio.sleep(50)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            life.note("slow has unwound")

    async def body(system: System) -> None:
        life.note("body")
        await anyio.sleep(1)

    lived = life.live(shop, body)
    assert ["1 body", "6 slow has unwound", "6 database stops"] == life.log
    assert lived.error is None


@pytest.mark.rule("S5")
def test_a_timed_out_start_that_fails_while_it_unwinds(life: Life) -> None:
    """What it raised then is the cause of its timeout."""
    shop = Registry("shop")

    @shop.component(start_timeout=2)
    async def slow() -> None:
        try:
            await anyio.sleep(50)
        finally:
            int("cannot unwind")

    lived = life.live(shop)
    assert isinstance(lived.error, StartTimeoutError)
    assert isinstance(lived.error.__cause__, ValueError)
    assert 1 == len(lived.errors)


@pytest.mark.rule("R5")
def test_a_cancelled_start_that_ends_the_program(life: Life) -> None:
    """Its code counts, and the first cause stays what it was."""
    shop = Registry("shop")

    @shop.component
    async def slow() -> None:
        try:
            await anyio.sleep(50)
        finally:
            raise SystemExit(9)

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert lived.report is not None
    assert (Outcome.START_FAILED, 9) == (lived.report.outcome, lived.report.exit_code)


@pytest.mark.rule("S3")
def test_a_start_that_is_abandoned_and_then_fails(life: Life) -> None:
    """Nobody is interested any more: the report is complete without it."""
    shop = Registry("shop")

    @shop.component(stop_timeout=2)
    async def slow() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(50)
        raise OSError(BROKEN)

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        raise OSError(BROKEN)

    lived = life.live(shop, observers=[life.observe])
    assert "3 = closed" in life.log
    assert lived.report is not None
    assert ["broken", "slow"] == [getattr(e, "component", "") for e in lived.report.errors]
    assert ["slow"] == [one.component for one in lived.report.abandoned]


@pytest.mark.uvloop
def test_parameters_of_every_kind(life: Life) -> None:
    """Positional only, keyword only, and those that nobody fills."""
    shop = Registry("shop")
    one = shop.value(1, name="one")

    @shop.component
    async def total(a: int = requires(one), /, b: int = 2, *, c: int = requires(one)) -> int:
        return a + b + c

    async def body(system: System) -> int:
        return system[total]

    assert 4 == life.live(shop, body).result


def test_an_attempt_that_hangs_after_others_have_failed(life: Life) -> None:
    """Which of them failed, and that it was not the last one."""
    shop = Registry("shop")
    attempts: Iterator[Callable[[], Any]] = iter([fail, fail, forever])

    async def start() -> None:
        await next(attempts)()

    part(shop, "database", start=start, start_timeout=1, retry=Retry(5, delay=0.1, factor=1))

    (error,) = life.live(shop).errors
    assert error.endswith(
        "after 1 s: it is still starting, and attempt 2 failed (ValueError: broken)"
    )


@pytest.mark.rule("S5")
@pytest.mark.parametrize("sync", [False, True])
def test_two_that_fail_in_one_moment(life: Life, *, sync: bool) -> None:
    """Neither has failed because of the other: both did not start, and so their events say."""
    shop = Registry("shop")
    failed: list[events.Event] = []
    both = threading.Barrier(2)

    def declare(name: str) -> None:
        async def fails() -> None:
            await anyio.sleep(1)
            raise OSError(name)

        def fails_in_its_thread() -> None:
            both.wait(60)
            raise OSError(name)

        shop.component(fails_in_its_thread if sync else fails, name=name)

    declare("database")
    declare("redis")

    def note(event: events.Event) -> None:
        if isinstance(event, events.ComponentStarted) and isinstance(event.error, StartError):
            failed.append(event)

    lived = life.live(shop, observers=[note])
    if life.backend != "trio" or sync:  # there the second is cancelled before it can fail
        assert {
            "StartError: 'database' did not start: OSError: database",
            "StartError: 'redis' did not start: OSError: redis",
        } == set(lived.errors)
        assert 2 == len(failed)


@pytest.mark.rule("S5")
def test_one_that_fails_as_it_unwinds(life: Life) -> None:
    """Its cleanup has failed, and not its start."""
    shop = Registry("shop")

    @shop.component
    async def database() -> None:
        await anyio.sleep(1)
        raise OSError

    @shop.component
    async def redis() -> None:
        try:
            await anyio.sleep(2)
        finally:
            message = "cleanup"
            raise ValueError(message)

    assert [
        "StartError: 'database' did not start: OSError",
        "StopError: the start hook of 'redis' failed: ValueError: cleanup",
    ] == life.live(shop).errors
