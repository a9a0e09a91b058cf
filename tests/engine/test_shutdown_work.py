"""Work in flight: the drain waits for it, and cuts it off when its time is over."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from lifecycle import Lifetime, Registry, Settings, System, requires
from lifecycle.errors import (
    ClosedError,
    CrashedError,
    DeadlockError,
    DrainTimeoutError,
    StopError,
    WorkCancelledError,
)
from tests.engine.parts import asked, end, forever, ignoring, part, summary, unwinding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager

    from tests.engine.kit import Life

GRACE = Settings(grace_period=10, close_reserve=2)
"""The drain is over after 7.5 s: 10, less 0.5 and 2."""


async def ask_after(seconds: float, system: System) -> None:
    """Ask for a shutdown in some time."""
    await anyio.sleep(seconds)
    system.shut_down("asked")


@pytest.mark.rule("D3", "D4")
def test_work_keeps_its_component_from_having_drained(life: Life) -> None:
    """Work of a component holds up what it uses; work of the system, the close."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1)
    web = part(shop, "web", drain=1, requires=database)

    async def work(system: System, seconds: float, *, of_web: bool) -> None:
        with system.hold("order", component=web if of_web else None):
            await anyio.sleep(seconds)

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: work(system, 3, of_web=True))
            group.start_soon(lambda: work(system, 5, of_web=False))
            await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            system.shut_down("asked")
            assert ["order", "order"] == [each.what for each in system.status().in_flight]

    life.live(shop, body, observers=[life.observe])

    assert [
        "0 = draining",
        "0 web drains",
        "3 web drained",
        "3 database drains",
        "4 database drained",
        "5 = closing",
    ] == end(life)[:6]


@pytest.mark.rule("D3")
def test_work_belongs_to_whom_it_was_opened_by(life: Life) -> None:
    """In a hook, a service, or a task of these: to the component; elsewhere to the system."""
    shop = Registry("shop")
    seen: list[str | None] = []

    def look(system: System) -> None:
        seen.append(system.status().in_flight[-1].component)

    @shop.component
    async def jobs() -> AsyncIterator[None]:
        life_ = Lifetime.current()
        with life_.system.hold("start"):
            look(life_.system)
        async with anyio.create_task_group() as group:
            group.start_soon(child)
            yield

    async def child() -> None:
        system = Lifetime.current().system
        with system.hold("in a child"):
            look(system)
        with Lifetime.current().hold("by the lifetime"):
            look(system)

    @jobs.drain
    async def _(_: None) -> None:
        system = Lifetime.current().system
        with system.hold("in a drain"):
            look(system)

    async def body(system: System) -> None:
        await anyio.wait_all_tasks_blocked()
        with system.hold("in the body"):
            look(system)
        with system.hold("of another", component=jobs):
            look(system)

    assert life.live(shop, body).error is None
    assert ["jobs", "jobs", "jobs", None, "jobs", "jobs"] == seen


@pytest.mark.rule("D4")
def test_work_that_is_cut_off(life: Life) -> None:
    """It is cancelled when the time is over, counted, and reported; the rest is stopped."""
    shop = Registry("shop")
    part(shop, "database", drain=1, stop=1)

    async def body(system: System) -> None:
        try:
            with system.hold("order 7"):
                system.shut_down("asked")
                await anyio.sleep_forever()
        except WorkCancelledError as error:
            life.note(str(error))
            raise

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    text = "'order 7' was cut off: the time to drain was over before it had ended"
    assert f"7.5 {text}" in life.log
    assert "7.5 None lost ('order 7',)" in life.log
    assert "8.5 closed: incomplete, 75" == end(life)[-1]
    assert ("incomplete", 75, "DrainTimeoutError") == (*summary(lived)[:2], summary(lived)[2][0])
    assert lived.report is not None
    assert ("order 7", 7.5) in [(work.what, work.age) for work in lived.report.in_flight]


@pytest.mark.rule("D4")
def test_the_line_after_work_that_was_cut_off_does_not_run(life: Life) -> None:
    """Even where its body reached its end, `hold` raises: there must be no commit."""
    shop = Registry("shop")
    committed: list[str] = []

    @shop.service
    async def orders(life_: Lifetime) -> None:
        life_.started()
        await life_.wait_draining()
        with life_.hold("order"):
            with anyio.CancelScope(shield=True):
                await anyio.sleep(7.8)
        committed.append("order")

    lived = life.live(shop, asked, GRACE)

    assert [] == committed
    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)
    assert lived.report is not None
    assert ["order"] == [work.what for work in lived.report.in_flight]


@pytest.mark.rule("D4")
def test_work_that_swallows_its_cancellation_is_told(life: Life) -> None:
    """A body that catches everything learns of it at the end of the ``with``."""
    shop = Registry("shop")

    async def body(system: System) -> str:
        system.shut_down("asked")
        told = "nothing"
        try:
            with system.hold("order"), contextlib.suppress(BaseException):
                await anyio.sleep_forever()
            told = "nothing, and it went on"
        except WorkCancelledError:
            told = "told"
        return told

    lived = life.live(shop, body, GRACE)

    assert ("told", "DrainTimeoutError") == (lived.result, type(lived.error).__name__)


@pytest.mark.rule("D4")
def test_work_that_fails_while_it_is_cut_off(life: Life) -> None:
    """Its own exception goes on, the loss is reported all the same."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        system.shut_down("asked")
        with pytest.raises(KeyError):
            await failing(system)

    async def failing(system: System) -> None:
        with system.hold("order"):
            try:
                await anyio.sleep_forever()
            finally:
                raise KeyError

    lived = life.live(shop, body, GRACE)

    assert ("incomplete", 75, "DrainTimeoutError") == (*summary(lived)[:2], summary(lived)[2][0])
    assert lived.report is not None
    assert "order" in [work.what for work in lived.report.in_flight]


@pytest.mark.rule("D4")
def test_work_that_ignores_its_cancellation(life: Life) -> None:
    """It holds nobody up for longer than half a second, and is not waited for again."""
    shop = Registry("shop")
    part(shop, "database", stop=1)

    async def stubborn(system: System) -> None:
        with pytest.raises(WorkCancelledError), system.hold("order"):
            await ignoring(30)()

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(stubborn, system)
            await anyio.wait_all_tasks_blocked()
            system.shut_down("asked")
            await system.closed()
            life.note("the report is there")

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    assert [
        "7.5 None lost ('order',)",
        "8 = closing",
        "8 database stops",
        "9 database stopped",
        "9 = closed",
        "9 closed: incomplete, 75",
        "9 the report is there",
    ] == end(life)[3:]
    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)


@pytest.mark.rule("D4")
def test_no_work_is_taken_in_any_more(life: Life) -> None:
    """Work begets work until the drain is over; then it is refused."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        system.shut_down("asked")
        with system.hold("a"):
            await anyio.sleep(1)
            with system.hold("b, begotten by a"):
                await anyio.sleep(1)
        report = await system.closed()
        assert report.outcome == "clean"
        with pytest.raises(ClosedError, match="asked"), system.hold("c"):
            raise AssertionError

    assert life.live(shop, body).error is None


@pytest.mark.rule("D4")
def test_no_work_is_taken_in_while_it_closes(life: Life) -> None:
    """A stop hook that begins something is told."""
    shop = Registry("shop")

    def work() -> None:
        with pytest.raises(ClosedError), Lifetime.current().hold("late"):
            raise AssertionError
        life.note("refused")

    part(shop, "jobs", stop=work)

    assert life.live(shop).error is None
    assert ["0 refused"] == life.log


@pytest.mark.rule("D4")
def test_work_is_taken_in_from_the_start_on(life: Life) -> None:
    """A start hook may hold, in its own name."""
    shop = Registry("shop")

    async def work() -> None:
        with Lifetime.current().hold("migration"):
            await anyio.sleep(1)

    part(shop, "database", start=work)

    assert life.live(shop).error is None


@pytest.mark.rule("D4")
def test_work_inside_work(life: Life) -> None:
    """Each is counted and cut off; what the inner one raises goes through the outer one."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        system.shut_down("asked")
        with system.hold("outer"):
            try:
                with system.hold("inner"):
                    await anyio.sleep_forever()
            except WorkCancelledError as error:
                life.note(error.what)
                raise

    async def outer(system: System) -> None:
        try:
            await body(system)
        except WorkCancelledError as error:
            life.note(error.what)
            raise

    lived = life.live(shop, outer, GRACE)

    assert lived.report is not None
    assert ["outer", "inner"] == [work.what for work in lived.report.in_flight][:2]
    assert ["inner", "inner"] == life.words


@pytest.mark.rule("D4")
def test_work_in_threads(life: Life) -> None:
    """It is counted like any other, goes on when its time is over, and is told at its end."""
    shop = Registry("shop")
    part(shop, "database")
    stuck = life.stuck()
    seen: list[object] = []

    class Worker:
        def start(self) -> None:
            """Start."""

        def drain(self) -> None:
            try:
                with Lifetime.current().hold("report"):
                    stuck.block()
            except WorkCancelledError as error:
                seen.append(error)

        def stop(self) -> None:
            """Stop."""

    shop.add(Worker(), name="worker")

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(release_at, 7.8)
            await asked(system)

    async def release_at(seconds: float) -> None:
        await anyio.sleep(seconds)
        stuck.release()

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    assert ["'report' of 'worker' was cut off" in str(error) for error in seen] == [True]
    assert lived.report is not None
    assert [("report", "worker")] == [(w.what, w.component) for w in lived.report.in_flight]
    assert "7.5 worker lost ('report',)" in life.log


@pytest.mark.rule("D4")
def test_work_of_threads_that_ends_in_time(life: Life) -> None:
    """The drain waits for a thread as for anybody else; afterwards work is refused there too."""
    shop = Registry("shop")
    begun = threading.Event()

    async def body(system: System) -> None:
        def work() -> None:
            with system.hold("order"):
                begun.set()
            with system.hold("another"):
                pass

        await life.in_thread(work)
        assert begun.is_set()
        await asked(system)

        def late() -> None:
            with pytest.raises(ClosedError), system.hold("late"):
                raise AssertionError

        await life.in_thread(late)

    assert life.live(shop, body).error is None


@pytest.mark.rule("D4")
def test_work_that_ends_elsewhere_than_it_began(life: Life) -> None:
    """It belongs to no task: it is told instead of being cancelled, and its end raises."""
    shop = Registry("shop")

    async def begin(hold: AbstractContextManager[None], cut: anyio.Event) -> None:
        hold.__enter__()
        await cut.wait()
        life.note("told")
        await anyio.sleep(0.2)

    async def body(system: System) -> None:
        cut = anyio.Event()
        hold = system.hold("call", on_cut=cut.set)
        async with anyio.create_task_group() as group:
            group.start_soon(begin, hold, cut)
            await anyio.wait_all_tasks_blocked()
            assert ["call"] == [work.what for work in system.status().in_flight]
            with anyio.CancelScope(shield=True):
                await asked(system)
        with pytest.raises(WorkCancelledError, match="'call' was cut off"):
            hold.__exit__(None, None, None)
        life.note("ended")

    async def asked(system: System) -> None:
        system.shut_down("asked")
        await system.wait_draining()

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    assert ["7.5 None lost ('call',)", "7.5 told", "7.7 ended"] == [
        line for line in life.log if "lost ('call" in line or "told" in line or "ended" in line
    ]
    assert ("incomplete", 75, "DrainTimeoutError") == (*summary(lived)[:2], summary(lived)[2][0])


@pytest.mark.rule("D4")
def test_work_in_threads_can_be_told_that_its_time_is_over(life: Life) -> None:
    """Nothing can interrupt a thread, but it can be asked to end."""
    shop = Registry("shop")
    seen: list[object] = []

    stuck = life.stuck()

    class Worker:
        def start(self) -> None:
            """Start."""

        def drain(self) -> None:
            try:
                with Lifetime.current().hold("report", on_cut=stuck.release):
                    stuck.block()
            except WorkCancelledError as error:
                seen.append(error)

    shop.add(Worker(), name="worker")

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    assert ["'report' of 'worker' was cut off" in str(error) for error in seen] == [True]
    assert "7.5 worker lost ('report',)" in life.log
    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)


def test_whose_work_was_cut_off_is_logged(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """What belongs to no component is the system's."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        system.shut_down()
        with system.hold("order"):
            await anyio.sleep_forever()

    life.live(shop, body)

    assert "work of the system was cut off: ('order',)" in caplog.messages


@pytest.mark.rule("D4")
def test_being_told_of_the_cut_may_fail(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the others are told all the same, and the shutdown goes on."""
    shop = Registry("shop")
    told: list[str] = []

    def fail() -> None:
        raise KeyError

    async def body(system: System) -> None:
        system.shut_down("asked")
        system.hold("one", on_cut=fail).__enter__()
        system.hold("two", on_cut=lambda: told.append("two")).__enter__()
        await system.closed()

    lived = life.live(shop, body, GRACE)

    assert ["two"] == told
    assert "what was to be told that 'one' is cut off failed" in caplog.text
    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)
    assert lived.report is not None
    assert ["one", "two"] == [work.what for work in lived.report.in_flight]


@pytest.mark.rule("D4")
def test_holds_are_cancelled_before_hooks(life: Life) -> None:
    """So that the hook can handle what became of its work."""
    shop = Registry("shop")
    handled: list[str] = []

    @shop.component
    async def jobs() -> AsyncIterator[None]:
        yield

    @jobs.drain
    async def _(_: None) -> None:
        try:
            with Lifetime.current().hold("job"):
                await anyio.sleep_forever()
        except WorkCancelledError:
            await anyio.sleep(0.2)
            handled.append("put back")

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)
    assert lived.report is not None
    assert ["job"] == [work.what for work in lived.report.in_flight]
    assert ["put back"] == handled


@pytest.mark.rule("D4", "D7")
def test_a_drain_that_does_not_end(life: Life) -> None:
    """It is cut off a second before the others are, so that what it uses can drain; all stop."""
    shop = Registry("shop")
    database = part(shop, "database", drain=0.5, stop=1)
    part(shop, "jobs", drain=forever, stop=1, requires=database)

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    assert [
        "0 = draining",
        "0 jobs drains",
        "6.5 jobs drained",
        "6.5 database drains",
        "7 database drained",
        "7 = closing",
        "7 jobs stops",
        "8 jobs stopped",
        "8 database stops",
        "9 database stopped",
        "9 = closed",
        "9 closed: incomplete, 75",
    ] == end(life)
    assert [
        (
            "DrainTimeoutError: 'jobs' had not drained when its 6.5 s to drain ran out; its drain "
            "was cancelled"
        )
    ] == lived.errors
    assert isinstance(lived.error, DrainTimeoutError)


@pytest.mark.rule("D4")
def test_what_was_not_asked_to_drain(life: Life) -> None:
    """When the time is over it drains as the first part of its stop, on the stop's time."""
    shop = Registry("shop")
    database = part(shop, "database", drain=0.5, stop=0.25)
    part(shop, "jobs", start=ignoring(8.5), start_timeout=0.5, optional=True, requires=database)

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    # `jobs` was given up after half a second, and unwinds until 8.5.
    assert [
        "0.5 = draining",
        "8 = closing",
        "8.5 database stops",
        "9.25 database stopped",
        "9.25 = closed",
        "9.25 closed: clean, 0",
    ] == end(life)
    assert ("clean", 0, []) == summary(lived)


@pytest.mark.rule("D4", "D7")
def test_the_own_time_of_one_component(life: Life) -> None:
    """Only what belongs to it is cut off, the others go on."""
    shop = Registry("shop")
    database = part(shop, "database", drain=3)
    jobs = part(shop, "jobs", drain=1, drain_timeout=2, requires=database)

    async def work(system: System) -> None:
        with pytest.raises(WorkCancelledError), system.hold("job", component=jobs):
            await anyio.sleep_forever()

    async def other(system: System) -> None:
        with system.hold("other"):
            await anyio.sleep(4)

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(work, system)
            group.start_soon(other, system)
            await anyio.wait_all_tasks_blocked()
            system.shut_down("asked")

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    assert [
        "0 jobs drains",
        "2 jobs lost ('job',)",
        "2 jobs drained",
        "2 database drains",
        "5 database drained",
        "5 = closing",
    ] == [line.partition(":")[0] for line in end(life)[1:7]]
    assert [
        (
            "DrainTimeoutError: 'jobs' still had 1 piece of work in flight when its 2 s to drain "
            "ran out; it was cancelled: 'job'"
        )
    ] == lived.errors


@pytest.mark.rule("D4", "D7")
def test_no_more_work_for_whose_own_time_is_over(life: Life) -> None:
    """Its drain would have no end otherwise."""
    shop = Registry("shop")

    async def drain() -> None:
        own = Lifetime.current()
        for number in range(100):
            with contextlib.suppress(WorkCancelledError), own.hold(f"job {number}"):
                await anyio.sleep_forever()

    part(shop, "jobs", drain=drain, drain_timeout=2)

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    assert lived.report is not None
    assert ["job 0"] == [work.what for work in lived.report.in_flight]
    assert "2 = closing" in life.log


@pytest.mark.rule("D4")
def test_the_time_of_what_belongs_to_nobody(life: Life) -> None:
    """``drain_timeout`` of the settings is that of the system's own work."""
    shop = Registry("shop")
    part(shop, "database", drain=4, drain_timeout=6)

    async def work(system: System) -> None:
        with pytest.raises(WorkCancelledError), system.hold("order"):
            await anyio.sleep_forever()

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(work, system)
            await anyio.wait_all_tasks_blocked()
            system.shut_down("asked")
            await system.closed()

    settings = Settings(grace_period=10, close_reserve=2, drain_timeout=3)
    lived = life.live(shop, body, settings, observers=[life.observe])

    assert [
        "0 = draining",
        "0 database drains",
        "3 None lost ('order',)",
        "4 database drained",
        "4 = closing",
    ] == end(life)[:5]
    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)


@pytest.mark.rule("D4")
def test_no_time_to_drain(life: Life) -> None:
    """``drain_timeout=0`` cuts off at once what is in flight."""
    shop = Registry("shop")
    part(shop, "database", drain=1)

    async def body(system: System) -> None:
        with system.hold("order"):
            system.shut_down("asked")
            await anyio.sleep(1)

    settings = Settings(drain_timeout=0)
    lived = life.live(shop, body, settings, observers=[life.observe])

    assert end(life)[-1] == "0 closed: incomplete, 75"
    assert lived.report is not None
    assert "order" in [work.what for work in lived.report.in_flight]


@pytest.mark.rule("R1", "D4")
def test_work_in_a_group_that_crashed(life: Life) -> None:
    """The group cancels it at once; that it is lost is not silent."""
    shop = Registry("shop")

    @shop.component
    async def jobs() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(crash)
            yield

    async def work() -> None:
        with Lifetime.current().hold("job"):
            await anyio.sleep_forever()

    async def crash() -> None:
        await anyio.sleep(1)
        message = "crash"
        raise ValueError(message)

    async def body(system: System) -> None:
        await anyio.sleep_forever()

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    assert isinstance(lived.error, CrashedError)
    assert isinstance(lived.error.__cause__, ValueError)
    assert ("crashed", 70, ["CrashedError", "WorkCancelledError"]) == summary(lived) or (
        "crashed",
        70,
        ["WorkCancelledError", "CrashedError"],
    ) == summary(lived)
    assert lived.report is not None
    assert ["job"] == [work.what for work in lived.report.in_flight]
    assert end(life)[-1] == "1 closed: crashed, 70"


@pytest.mark.rule("D4")
def test_work_that_is_cancelled_by_its_owner_is_not_lost(life: Life) -> None:
    """As long as nothing is wrong, whoever cancels work knows why."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        with anyio.move_on_after(1), system.hold("order"):
            await anyio.sleep_forever()

    lived = life.live(shop, body)

    assert ("clean", 0, []) == summary(lived)


@pytest.mark.rule("R1", "D4")
@pytest.mark.parametrize("optional", [False, True])
def test_work_in_the_group_of_a_service_that_crashed(life: Life, *, optional: bool) -> None:
    """It is lost as well, though the service ends a little later than its group.

    What was behind it is the cause, and not the group that it came in.
    """
    shop = Registry("shop")

    @shop.service(optional=optional)
    async def jobs(own: Lifetime) -> None:
        own.started()
        async with anyio.create_task_group() as group, anyio.create_task_group() as inner:
            group.start_soon(work, own, "one")
            inner.start_soon(work, own, "two")
            inner.start_soon(crash)

    async def work(own: Lifetime, what: str) -> None:
        with anyio.move_on_after(0.5), own.hold("given up long before"):
            await anyio.sleep_forever()
        with own.hold(what):
            await anyio.sleep_forever()

    async def crash() -> None:
        await anyio.sleep(1)
        message = "crash"
        raise ValueError(message)

    async def body(system: System) -> None:
        await anyio.sleep(2)
        await asked(system)

    lived = life.live(shop, body, GRACE)

    assert lived.report is not None
    crashed = lived.report.components["jobs"].error
    assert isinstance(crashed, CrashedError)
    assert "'jobs' crashed: ValueError: crash" == str(crashed)
    assert isinstance(crashed.__cause__, ValueError)
    assert ["one", "two"] == sorted(work.what for work in lived.report.in_flight)
    lost = [error for error in lived.report.errors if isinstance(error, WorkCancelledError)]
    assert {
        "'one' of 'jobs' was cut off: it was cancelled when 'jobs' crashed",
        "'two' of 'jobs' was cut off: it was cancelled when 'jobs' crashed",
    } == {str(error) for error in lost}
    assert ("incomplete" if optional else "crashed") == str(lived.report.outcome)


@pytest.mark.rule("R1", "D4")
def test_work_that_is_cancelled_during_a_shutdown_is_lost(life: Life) -> None:
    """A hold that ends by a cancellation after the shutdown began counts as cut off."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        system.shut_down("asked")
        with anyio.move_on_after(1), system.hold("order"):
            await anyio.sleep_forever()

    lived = life.live(shop, body)

    assert lived.report is not None
    assert ["order"] == [work.what for work in lived.report.in_flight]
    assert ("incomplete", 75) == summary(lived)[:2]
    assert "'order' was cut off: it was cancelled while the system shut down" == str(lived.error)


@pytest.mark.rule("B4")
def test_waiting_for_the_end_inside_of_work(life: Life) -> None:
    """The end waits for the work: an error at once, in a task of its own as well."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        with system.hold("order"), pytest.raises(DeadlockError, match="order"):
            await system.closed()

    assert life.live(shop, body).error is None


@pytest.mark.rule("B4")
@pytest.mark.parametrize("hook", ["start", "drain", "stop"])
def test_waiting_for_the_end_in_a_hook(life: Life, hook: str) -> None:
    """The end waits for the hook: an error at once."""
    shop = Registry("shop")

    async def wait() -> None:
        await Lifetime.current().system.closed()

    part(shop, "jobs", **{hook: wait})

    lived = life.live(shop)

    assert lived.error is not None
    assert isinstance(lived.error.__cause__, DeadlockError)
    assert "jobs" in str(lived.error.__cause__)


@pytest.mark.rule("D4")
def test_work_outlived_by_another_with_the_same_words(life: Life) -> None:
    """Two pieces of work are two, whatever they are called."""
    shop = Registry("shop")

    async def work(system: System, seconds: float) -> None:
        with system.hold("order"):
            await anyio.sleep(seconds)

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(work, system, 1)
            group.start_soon(work, system, 3)
            await anyio.wait_all_tasks_blocked()
            system.shut_down("asked")
        life.note("both have ended")

    life.live(shop, body, observers=[life.observe])

    assert ["3 both have ended", "3 = closing"] == end(life)[1:3]


@pytest.mark.rule("D4", "D8")
def test_a_drain_that_ignores_its_cancellation(life: Life) -> None:
    """It is abandoned after half a second, and its stop is not called while it goes on."""
    shop = Registry("shop")
    part(shop, "jobs", drain=ignoring(20), stop=lambda: life.note("jobs.stop"))
    part(shop, "other", drain=1, stop=lambda: life.note("other.stop"))

    async def body(system: System) -> None:
        await asked(system)
        life.note("the report is there")

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    assert "8 jobs abandoned in its drain" in life.log
    assert "8 other.stop" in life.log
    assert lived.report is not None
    assert [("jobs", "drain")] == [(a.component, a.hook) for a in lived.report.abandoned][:1]
    assert "await anyio.sleep(seconds)" in lived.report.abandoned[0].stack
    assert ["DrainTimeoutError", "StopError"] == summary(lived)[2][:2]
    closed = next(line for line in life.log if "closed:" in line)
    assert float(closed.split()[0]) <= 10
    assert "20 jobs.stop" in life.log or "jobs.stop" not in life.words


@pytest.mark.rule("D4")
def test_a_drain_that_unwinds(life: Life) -> None:
    """What was cut off has half a second to unwind, and is not abandoned if that is enough."""
    shop = Registry("shop")
    part(shop, "jobs", drain=unwinding(0.4), stop=1)

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    assert "7.9 = closing" in life.log
    assert end(life)[-1] == "8.9 closed: incomplete, 75"
    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)
    assert lived.report is not None
    assert () == lived.report.abandoned


@pytest.mark.rule("D6")
def test_a_failed_drain_of_what_lost_its_work_is_told_once(life: Life) -> None:
    """The hook passes on that its work was cut off: nobody needs to hear that twice."""
    shop = Registry("shop")

    async def drain() -> None:
        with Lifetime.current().hold("job"):
            await anyio.sleep_forever()

    part(shop, "jobs", drain=drain)

    lived = life.live(shop, asked, GRACE)

    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)
    assert not isinstance(lived.error, StopError)


@pytest.mark.rule("D6")
def test_lost_work_in_a_group_is_told_once_as_well(life: Life) -> None:
    """That it arrives in a group changes nothing."""
    shop = Registry("shop")

    async def work() -> None:
        with Lifetime.current().hold("job"):
            await anyio.sleep_forever()

    async def drain() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            tasks.start_soon(work)

    part(shop, "jobs", drain=drain)

    lived = life.live(shop, asked, GRACE)

    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)


@pytest.mark.rule("D6")
def test_a_drain_that_ends_of_a_task_that_it_has_cancelled(life: Life) -> None:
    """It has failed, like any other, and the stop is called: nothing of the component's crashed."""
    if life.backend == "trio":
        pytest.skip("a task of trio's is not awaited")
    shop = Registry("shop")

    @shop.component
    async def jobs() -> AsyncIterator[asyncio.Task[None]]:
        yield asyncio.ensure_future(asyncio.sleep(1000))
        life.note("closed")

    @jobs.drain
    async def _(task: asyncio.Task[None]) -> None:
        task.cancel()
        await task

    lived = life.live(shop, asked)

    assert ["closed"] == life.words
    assert ("incomplete", 75, ["StopError"]) == summary(lived)
    assert isinstance(lived.error, StopError)
    assert "drain" == lived.error.hook
    assert isinstance(lived.error.__cause__, asyncio.CancelledError)


@pytest.mark.rule("D3")
def test_work_of_a_component_that_has_drained(life: Life) -> None:
    """Work that comes in behind its back, by what it gave away, holds up the close all the same."""
    shop = Registry("shop")
    database = part(shop, "database", drain=3)

    @shop.component
    async def web(_: str = requires(database)) -> AsyncIterator[None]:
        yield

    async def body(system: System) -> None:
        with system.hold("stream"):
            system.shut_down("asked")
            await anyio.sleep(1)
            with system.hold("late", component=web):
                await anyio.sleep(5)

    lived = life.live(shop, body, observers=[life.observe])

    assert ("clean", 0, []) == summary(lived)
    assert "6 = closing" in life.log


@pytest.mark.rule("D4")
@pytest.mark.parametrize("by_hand", [False, True])
def test_one_hold_for_two_pieces_of_work(life: Life, *, by_hand: bool) -> None:
    """It is refused, since it could not be counted: the first one is in flight, and ends."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        work = system.hold("order", on_cut=(lambda: None) if by_hand else None)
        with work:
            with (
                pytest.raises(
                    RuntimeError,
                    match=r"^'order' is in flight already: call hold\(…\) for each piece of work$",
                ),
                work,
            ):
                life.note("never")
            assert 1 == len(system.status().in_flight)
        with work:
            life.note("again")
        assert () == system.status().in_flight

    lived = life.live(shop, body)

    assert lived.error is None
    assert ["0 again"] == life.log
