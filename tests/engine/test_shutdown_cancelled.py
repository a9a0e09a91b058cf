"""Cancellations and deadlines from outside of a system, of all kinds."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Outcome, Registry, Settings, System, running
from lifecycle.errors import CrashedError, RunError, StopError
from tests.engine.kit import BACKENDS, Life, Spy
from tests.engine.parts import end, fail, forever, part, unwinding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from lifecycle import Report

ASYNCIO = [backend for backend in BACKENDS if backend != "trio"]


def two_parts(shop: Registry) -> None:
    """Declare what takes 2 s to drain and 2 s to stop."""
    database = part(shop, "database", drain=1, stop=1)
    part(shop, "jobs", drain=1, stop=1, requires=database)


@pytest.mark.rule("D10")
@pytest.mark.parametrize("during", ["body", "start", "drain", "close"])
def test_a_cancellation_is_a_request(life: Life, during: str) -> None:
    """Whenever it comes: everything is drained and stopped, and then the cancellation goes on."""
    shop = Registry("shop")
    two_parts(shop)
    part(shop, "slow", start=1)
    when = {"start": 0.5, "body": 3, "drain": 6.5, "close": 8.5}[during]

    async def cancel(scope: anyio.CancelScope) -> None:
        await anyio.sleep(when)
        scope.cancel()

    async def main() -> str:
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            with scope:
                group.start_soon(cancel, scope)
                async with running(shop, observers=[life.observe]):
                    await anyio.sleep(5)
                return "it went on as if nothing had happened"
        assert scope.cancelled_caught
        return "cancelled"

    assert "cancelled" == life.run(main)
    ends = {"start": 4.5, "body": 7, "drain": 10, "close": 10}[during]
    assert f"{ends} closed: clean, 0" == life.log[-1]
    reason = (
        "it was cancelled from outside" if during in ("start", "body") else "the body has ended"
    )
    assert f"asked to shut down: {reason}" in life.words


@pytest.mark.rule("D10")
def test_it_is_a_request_without_delay(life: Life) -> None:
    """A delay is for those who asked for it."""
    shop = Registry("shop")

    async def main() -> None:
        with anyio.move_on_after(1):
            async with running(shop, Settings(drain_delay=5), observers=[life.observe]):
                await anyio.sleep_forever()

    life.run(main)

    assert "1 closed: clean, 0" == life.log[-1]


@pytest.mark.rule("D10")
def test_it_ends_a_delay(life: Life) -> None:
    """Who is cancelled waits for no traffic to move away."""
    shop = Registry("shop")

    async def main() -> None:
        with anyio.move_on_after(2):
            async with running(shop, Settings(drain_delay=5), observers=[life.observe]) as system:
                await anyio.sleep(1)
                system.shut_down("asked")
                await system.closed()

    life.run(main)

    assert "2 closed: clean, 0" == life.log[-1]


@pytest.mark.rule("D10")
def test_a_deadline_that_has_passed_bounds_nothing(life: Life) -> None:
    """It *is* the cancellation: drain and close have their grace period."""
    shop = Registry("shop")
    two_parts(shop)

    async def main() -> None:
        with pytest.raises(TimeoutError), anyio.fail_after(1):
            async with running(shop, observers=[life.observe]):
                await anyio.sleep_forever()

    life.run(main)

    assert "5 closed: clean, 0" == life.log[-1]


@pytest.mark.rule("D10")
def test_a_deadline_that_is_still_to_come_shortens_it(life: Life) -> None:
    """Where the body ended by itself, all has ended by then; the share of each stays the same."""
    shop = Registry("shop")
    part(shop, "jobs", drain=unwinding(0.1), stop=unwinding(0.1))
    found: list[Report | None] = []

    async def main() -> None:
        system: System | None = None
        with pytest.raises(Exception, match="drain"), anyio.move_on_after(6):
            async with running(shop, observers=[life.observe]) as system:
                await anyio.sleep(1)
        assert system is not None
        found.append(system.report)

    life.run(main)

    closed = float(next(line for line in life.log if "closed:" in line).split()[0])
    assert closed <= 6.1
    assert found[0] is not None
    assert Outcome.INCOMPLETE is found[0].outcome


@pytest.mark.rule("D10")
def test_a_deadline_far_off_shortens_nothing(life: Life) -> None:
    """The grace period is over first."""
    shop = Registry("shop")
    part(shop, "jobs", drain=forever, stop=1)

    async def main() -> None:
        with contextlib.suppress(Exception), anyio.move_on_after(1_000):
            async with running(
                shop, Settings(grace_period=10, close_reserve=2), observers=[life.observe]
            ):
                pass

    life.run(main)

    assert "7.5 = closing" in life.log
    assert "8.5 closed: incomplete, 75" == end(life)[-1]


@pytest.mark.rule("D10")
def test_a_deadline_does_not_shorten_what_was_asked_for_before(life: Life) -> None:
    """When it passes while all is under way, it is one more request: nothing is cut short."""
    shop = Registry("shop")
    two_parts(shop)

    async def main() -> bool:
        with anyio.move_on_after(2.5) as scope:
            async with running(shop, observers=[life.observe]) as system:
                system.shut_down("asked")
                await system.closed()
        return scope.cancelled_caught

    assert life.run(main)
    assert "4 closed: clean, 0" == life.log[-1]


@pytest.mark.rule("D10")
def test_errors_win_over_the_cancellation(life: Life) -> None:
    """As in a task group: what fails meanwhile is raised, and the cancellation is caught."""
    shop = Registry("shop")
    part(shop, "jobs", stop=fail)

    async def main() -> None:
        with pytest.raises(StopError), anyio.move_on_after(1):
            async with running(shop):
                await anyio.sleep_forever()

    life.run(main)


@pytest.mark.rule("D10", "R1")
def test_a_crash_and_a_cancellation(life: Life) -> None:
    """The crash is the first cause, whatever was cancelled while it was cleaned up."""
    shop = Registry("shop")

    @shop.service(requires=part(shop, "database", drain=5))
    async def orders(own: Lifetime) -> None:
        own.started()
        await anyio.sleep(1)
        fail()

    async def main() -> None:
        with pytest.raises(CrashedError) as caught, anyio.move_on_after(3):
            async with running(shop, observers=[life.observe]):
                await anyio.sleep_forever()
        assert caught.value.report is not None
        assert Outcome.CRASHED is caught.value.report.outcome

    life.run(main)

    assert "6 closed: crashed, 70" == end(life)[-1]


@pytest.mark.rule("D10")
def test_a_cancelled_group_around_it(life: Life) -> None:
    """A sibling that fails cancels the system, which ends in order before its error is raised."""
    shop = Registry("shop")
    two_parts(shop)

    async def sibling() -> None:
        await anyio.sleep(1)
        fail("sibling")

    async def main() -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(sibling)
                async with running(shop, observers=[life.observe]):
                    await anyio.sleep_forever()
        except BaseException as error:  # noqa: BLE001  a group, which 3.10 has no name for
            life.note(repr(getattr(error, "exceptions", error)))

    life.run(main)

    assert "5 closed: clean, 0" in life.log
    assert life.words[-1] == "(ValueError('sibling'),)"


@pytest.mark.rule("K2")
def test_it_may_run_beside_others_in_a_group(life: Life) -> None:
    """Two systems in one group know nothing of each other."""
    shop = Registry("shop")
    two_parts(shop)

    async def one(seconds: float) -> None:
        async with running(shop) as system:
            await anyio.sleep(seconds)
        assert system.report is not None
        life.note(str(system.report.outcome))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for seconds in (1, 2, 3):
                group.start_soon(one, seconds)

    life.run(main)

    assert ["5 clean", "6 clean", "7 clean"] == life.log


async def cancelled_natively(life: Life, run: Callable[[], Awaitable[Any]], *times: float) -> Any:
    """Run something in a task that is cancelled the way asyncio does it, at these times."""
    task = asyncio.ensure_future(run())
    for time in times:
        await anyio.sleep(time - life.now())
        task.cancel("native")
    try:
        return await task
    except asyncio.CancelledError:
        return "cancelled"


@pytest.mark.rule("D10")
@pytest.mark.parametrize("backend", ASYNCIO)
@pytest.mark.parametrize("times", [(1,), (1, 2), (1, 2, 2.5, 4.5), (0.25,), (0.25, 0.5)], ids=str)
def test_native_cancellations(backend: str, times: tuple[float, ...]) -> None:
    """`task.cancel()` pierces every shield, as often as it likes: all ends in order first."""
    life = Life(backend)
    shop = Registry("shop")
    two_parts(shop)
    part(shop, "slow", start=0.75)

    async def run() -> str:
        async with running(shop, observers=[life.observe]):
            await anyio.sleep_forever()
        return "went on"

    async def main() -> Any:
        return await cancelled_natively(life, run, *times)

    assert "cancelled" == life.run(main)
    closed = next(line for line in life.log if "closed:" in line)
    assert f"{times[0] + 4} closed: clean, 0" == closed


@pytest.mark.rule("D10")
@pytest.mark.parametrize("backend", ASYNCIO)
def test_a_native_cancellation_at_the_very_end(backend: str) -> None:
    """One that comes while the body has ended and all is being stopped is not lost."""
    life = Life(backend)
    shop = Registry("shop")
    two_parts(shop)

    async def run() -> str:
        async with running(shop, observers=[life.observe]):
            await anyio.sleep(1)
        return "went on"

    async def main() -> Any:
        return await cancelled_natively(life, run, 3.5)

    assert "cancelled" == life.run(main)
    assert "5 closed: clean, 0" == life.log[-1]


@pytest.mark.rule("D10")
@pytest.mark.parametrize("backend", ASYNCIO)
def test_a_native_timeout(backend: str) -> None:
    """`asyncio.wait_for` around it turns its own cancellation into a `TimeoutError`."""
    life = Life(backend)
    shop = Registry("shop")
    two_parts(shop)

    async def run() -> None:
        async with running(shop, observers=[life.observe]):
            await anyio.sleep_forever()

    async def main() -> None:
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(run(), 1)

    life.run(main)

    assert "5 closed: clean, 0" == life.log[-1]


# That of a task that was cancelled before it ran, which anyio keeps in a circle.
unawaited = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")

# Before Python 3.11 anyio may take what asyncio cancels for its own: then a crash is all there is.
GOES_ON = (asyncio.CancelledError,) + (() if sys.version_info >= (3, 11) else (RunError,))


def run_in_asyncio(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run in asyncio with its own teardown, and leave no garbage for other tests to warn of."""
    try:
        asyncio.run(main())
    finally:
        gc.collect()


@unawaited
@pytest.mark.rule("D10")
@pytest.mark.parametrize("turns", range(8))
def test_the_teardown_of_asyncio(turns: int) -> None:
    """It cancels every task, be it one that has not run yet: what has started is stopped."""
    shop = Registry("shop")
    log: list[str] = []

    @shop.component
    async def web() -> AsyncIterator[None]:
        log.append("start")
        try:
            yield
        finally:
            log.append("stop")

    tasks: list[asyncio.Task[None]] = []

    async def child() -> None:
        async with running(shop, companions=[Spy()]):
            await anyio.sleep_forever()

    async def main() -> None:
        tasks.append(asyncio.create_task(child()))
        for _ in range(turns):
            await asyncio.sleep(0)

    run_in_asyncio(main)
    with pytest.raises(GOES_ON):
        tasks[0].result()
    assert log in ([], ["start", "stop"])


@pytest.mark.rule("D10")
def test_what_is_told_of_the_teardown_of_asyncio() -> None:
    """All ends in order, with a report; the cancellation is what goes on."""
    shop = Registry("shop")
    part(shop, "web")
    told: list[str] = []
    spy = Spy()
    tasks: list[asyncio.Task[None]] = []

    async def child(started: asyncio.Event) -> None:
        async with running(
            shop, companions=[spy], observers=[lambda event: told.append(type(event).__name__)]
        ) as system:
            started.set()
            await system.closed()

    async def main() -> None:
        started = asyncio.Event()
        tasks.append(asyncio.create_task(child(started)))
        await started.wait()

    run_in_asyncio(main)
    with pytest.raises(GOES_ON):
        tasks[0].result()
    assert ["web"] == list(spy.report.components)
    assert "Closed" == told[-1]
    assert (1, 1) == (told.count("CompanionStopped"), told.count("ComponentStopped"))


@unawaited
@pytest.mark.rule("D10")
@pytest.mark.parametrize("where", ["companion", "preflight", "component"])
def test_all_tasks_are_cancelled_in_the_moment_in_which_one_begins(where: str) -> None:
    """Asyncio never runs that one: it is begun again, and ended in order."""
    shop = Registry("shop")
    log: list[str] = []

    def cancel_all() -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    def before(what: str) -> None:
        log.append(what)
        if what == where:
            asyncio.get_running_loop().call_soon(cancel_all)

    @contextlib.asynccontextmanager
    async def companion(system: System) -> AsyncIterator[None]:
        before("companion")
        yield
        log.append("companion left")

    async def check() -> None:
        before("preflight")

    spy = Spy()

    @shop.component
    async def first() -> AsyncIterator[None]:
        before("component")
        try:
            yield
        finally:
            log.append("stop")

    part(shop, "second", start=lambda: log.append("second"), requires=first)
    shop.preflight(check)

    async def main() -> None:
        async with running(shop, companions=[companion, spy]):
            log.append("body")

    with pytest.raises(GOES_ON):
        run_in_asyncio(main)
    assert "body" not in log
    assert ("stop" in log) == (where == "component")
    assert () == spy.report.abandoned
    assert spy.report.duration < Settings().start_timeout


@pytest.mark.rule("D10")
def test_a_body_that_swallows_its_cancellation(life: Life) -> None:
    """As far as the system is concerned the body has ended; what is outside is cancelled still."""
    shop = Registry("shop")
    two_parts(shop)

    async def main() -> bool:
        with anyio.move_on_after(1) as scope:
            async with running(shop, observers=[life.observe]):
                with contextlib.suppress(BaseException):
                    await anyio.sleep_forever()
            await anyio.lowlevel.checkpoint()
            life.note("went on")
        return scope.cancelled_caught

    assert life.run(main)
    assert "went on" not in life.words
    assert "5 closed: clean, 0" == life.log[-1]


@pytest.mark.rule("K2")
def test_nothing_is_left_when_it_ends(life: Life) -> None:
    """Not even the tasks that components started in their own groups, however it ended."""
    shop = Registry("shop")
    part(shop, "jobs", drain=unwinding(3), stop=unwinding(3), drain_timeout=1, stop_timeout=1)
    before: set[int] = set()
    after: set[int] = set()

    async def main() -> None:
        before.update(task.id for task in anyio.get_running_tasks())
        with contextlib.suppress(Exception):
            async with running(shop):
                pass
        after.update(task.id for task in anyio.get_running_tasks())

    life.run(main)

    assert before == after


@pytest.mark.rule("D10")
@pytest.mark.uvloop
def test_cancelled_before_it_is_entered(life: Life) -> None:
    """In a scope that is cancelled already nothing starts, and the cancellation goes on."""
    shop = Registry("shop")
    part(shop, "database", start=lambda: life.note("started"))

    async def main() -> bool:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with running(shop):
                life.note("body")
        return scope.cancelled_caught

    assert life.run(main)
    assert [] == life.log


@pytest.mark.rule("D10")
@pytest.mark.parametrize("asked", [False, True])
def test_a_deadline_around_a_body_that_ended_by_itself(life: Life, *, asked: bool) -> None:
    """It shortens the shutdown, also one that the body has asked for before it ended."""
    shop = Registry("shop")
    part(shop, "database", stop=forever)

    async def main() -> None:
        settings = Settings(stop_timeout=20)
        with anyio.move_on_after(5):
            async with running(shop, settings, observers=[life.observe]) as system:
                await anyio.sleep(1)
                if asked:
                    system.shut_down()
                    await anyio.sleep(1)

    with pytest.raises(StopError):
        life.run(main)
    assert "5 closed: incomplete, 75" == end(life)[-1]
