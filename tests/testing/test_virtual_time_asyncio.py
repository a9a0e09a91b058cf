"""asyncio's timing functions, in real time and in virtual time."""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.kit import ANY_TIMES, ASYNCIO, Scenarios, in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testing.kit import Scenario

scenario = Scenarios()
NEW = sys.version_info >= (3, 11)
"""`asyncio.timeout` and `asyncio.TaskGroup` are there."""


def timeout(seconds: float | None) -> Any:
    """`asyncio.timeout`, hidden from the type checker, for which Python is 3.10."""
    return getattr(asyncio, "timeout")(seconds)  # noqa: B009


def timeout_at(when: float | None) -> Any:
    """`asyncio.timeout_at`, likewise."""
    return getattr(asyncio, "timeout_at")(when)  # noqa: B009


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


# --- the loop's own timers -----------------------------------------------------------------------


@scenario(["soon", "one", "two", "three"], takes=3)
async def call_later_calls_in_the_order_of_time(second: float) -> list[str]:
    """And after what was to be called soon."""
    loop, log = asyncio.get_running_loop(), list[str]()
    done = loop.create_future()
    loop.call_later(second, log.append, "one")
    loop.call_later(2 * second, log.append, "two")
    loop.call_later(2.5 * second, log.append, "three")
    loop.call_later(3 * second, done.set_result, None)
    loop.call_soon(log.append, "soon")
    await done
    return log


@scenario([True, True], takes=2)
async def call_at_calls_at_a_time_of_the_loop(second: float) -> list[bool]:
    """Its handle tells when, and the loop's time is not less by then."""
    loop = asyncio.get_running_loop()
    done, when = loop.create_future(), loop.time() + 2 * second
    handle = loop.call_at(when, lambda: done.set_result(loop.time()))
    return [handle.when() == when, await done >= when]


@scenario(["the past", "later"], takes=1)
async def call_at_a_time_that_has_passed(second: float) -> list[str]:
    """It is called in the next turn."""
    loop, log = asyncio.get_running_loop(), list[str]()
    loop.call_later(-5, log.append, "the past")
    await asyncio.sleep(second)
    return [*log, "later"]


@scenario([True, ["two"]], takes=3)
async def a_timer_that_is_cancelled(second: float) -> list[Any]:
    """It is never called, and its handle says so."""
    loop, log = asyncio.get_running_loop(), list[str]()
    one = loop.call_later(second, log.append, "one")
    loop.call_later(2 * second, log.append, "two")
    one.cancel()
    await asyncio.sleep(3 * second)
    return [one.cancelled(), log]


@scenario(["first"], takes=1)
async def a_timer_that_is_cancelled_by_one_of_the_same_instant(second: float) -> list[str]:
    """Whichever is called first, the other is not."""
    loop, log = asyncio.get_running_loop(), list[str]()
    when = loop.time() + second
    handles = [loop.call_at(when, lambda: cancel_all("first")) for _ in range(2)]

    def cancel_all(what: str) -> None:
        log.append(what)
        for handle in handles:
            handle.cancel()

    await asyncio.sleep(second)
    return log


@scenario(["callback", 1], takes=0)
async def a_timer_has_the_context_of_who_set_it(second: float) -> list[Any]:
    """Or the one it is given."""
    import contextvars  # noqa: PLC0415  only here

    variable = contextvars.ContextVar("variable", default=0)
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    variable.set(1)
    loop.call_later(0, lambda: done.set_result(variable.get()))
    variable.set(2)
    return ["callback", await done]


# --- sleeping and waiting ------------------------------------------------------------------------


@scenario(["one", "two", "value"], takes=2)
async def sleep_gives_its_result(second: float) -> list[str]:
    """After the time; tasks that sleep end in the order of their deadlines."""
    log: list[str] = []

    async def sleep(seconds: float, name: str) -> None:
        log.append(await asyncio.sleep(seconds * second, name))

    await asyncio.gather(sleep(1, "one"), sleep(2, "two"))
    return [*log, await asyncio.sleep(0, "value")]


@scenario(["TimeoutError", True], takes=1)
async def wait_for_that_times_out(second: float) -> list[Any]:
    """What is waited for is cancelled, and has ended, when the error is raised."""
    cancelled: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            cancelled.append(True)

    try:
        await asyncio.wait_for(work(), second)
    except asyncio.TimeoutError:
        return ["TimeoutError", *cancelled]
    return []


@scenario(["value", "no timeout"], takes=2)
async def wait_for_that_is_in_time(second: float) -> list[str]:
    """Its result is given; None waits for as long as it takes."""
    return [
        await asyncio.wait_for(asyncio.sleep(second, "value"), 1000),
        await asyncio.wait_for(asyncio.sleep(second, "no timeout"), None),
    ]


@scenario(["TimeoutError", "done"], takes=0)
async def wait_for_no_time(second: float) -> list[str]:
    """What is not done already times out."""
    done = asyncio.get_running_loop().create_future()
    done.set_result("done")
    try:
        await asyncio.wait_for(asyncio.sleep(second), 0)
    except asyncio.TimeoutError:
        return ["TimeoutError", await asyncio.wait_for(done, 0)]
    return []


@scenario(["cleaned up", "TimeoutError"], takes=3)
async def wait_for_what_cleans_up(second: float) -> list[str]:
    """It waits for that, past its timeout."""
    log: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(2 * second)
            log.append("cleaned up")

    try:
        await asyncio.wait_for(work(), second)
    except asyncio.TimeoutError:
        log.append("TimeoutError")
    return log


@scenario([["one"], ["two"]], takes=1)
async def wait_for_the_first(second: float) -> list[list[str]]:
    """FIRST_COMPLETED returns with the first; the others go on."""
    one = asyncio.create_task(asyncio.sleep(second), name="one")
    two = asyncio.create_task(asyncio.sleep(1000), name="two")
    done, pending = await asyncio.wait([one, two], return_when=asyncio.FIRST_COMPLETED)
    two.cancel()
    return [[task.get_name() for task in done], [task.get_name() for task in pending]]


@scenario([1, 1, False], takes=2)
async def wait_with_a_timeout(second: float) -> list[Any]:
    """It raises nothing, and cancels nothing."""
    loop = asyncio.get_running_loop()
    one, two = loop.create_future(), loop.create_future()
    loop.call_at(loop.time() + second, one.set_result, None)
    done, pending = await asyncio.wait([one, two], timeout=2 * second)
    return [len(done), len(pending), two.cancelled()]


@scenario([1, 2, 3], takes=3)
async def as_completed_gives_what_ends_first(second: float) -> list[int]:
    """In the order in which they end."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    futures = [loop.create_future() for _ in range(3)]
    for future, seconds in zip(futures, (3, 1, 2), strict=True):
        loop.call_at(began + seconds * second, future.set_result, seconds)
    return [await done for done in asyncio.as_completed(futures)]


@scenario(["done", "TimeoutError"], takes=2)
async def as_completed_with_a_timeout(second: float) -> list[str]:
    """It is raised for what has not ended by then."""
    loop, log = asyncio.get_running_loop(), list[str]()
    done, never = loop.create_future(), loop.create_future()
    done.set_result("done")
    try:
        for one in asyncio.as_completed([done, never], timeout=2 * second):
            log.append(await one)
    except asyncio.TimeoutError:
        log.append("TimeoutError")
    return log


@scenario([3, 1, 2], takes=3)
async def gather_keeps_the_order_given(second: float) -> list[int]:
    """And takes as long as the longest."""
    return await asyncio.gather(*(asyncio.sleep(n * second, n) for n in (3, 1, 2)))


@scenario(["TimeoutError", "ended all the same"], takes=2)
async def a_shielded_task_outlives_a_timeout(second: float) -> list[str]:
    """`shield` keeps it from being cancelled."""
    go_on = asyncio.Event()

    async def work() -> str:
        await go_on.wait()  # and not for a time: in real time that may be over before
        return "ended all the same"

    task = asyncio.create_task(work())
    try:
        await asyncio.wait_for(asyncio.shield(task), second)
    except asyncio.TimeoutError:
        asyncio.get_running_loop().call_later(second, go_on.set)
        return ["TimeoutError", await task]
    return []


@scenario(["got", "TimeoutError", 0], takes=1)
async def a_queue_under_a_timeout(second: float) -> list[Any]:
    """Nothing is lost of it."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    queue.put_nowait("got")
    log: list[Any] = [await asyncio.wait_for(queue.get(), 1000)]
    try:
        await asyncio.wait_for(queue.get(), second)
    except asyncio.TimeoutError:
        log.append("TimeoutError")
    return [*log, queue.qsize()]


@scenario(["woken", "TimeoutError"], takes=3)
async def a_condition_under_a_timeout(second: float) -> list[str]:
    """Who is notified in time goes on; who is not gives up, and holds the lock again meanwhile."""
    condition, log = asyncio.Condition(), list[str]()

    async def notify() -> None:
        await asyncio.sleep(second)
        async with condition:
            condition.notify()

    task = asyncio.create_task(notify())
    async with condition:
        await condition.wait()
        log.append("woken")
        try:
            await asyncio.wait_for(condition.wait(), 2 * second)
        except asyncio.TimeoutError:
            log.append("TimeoutError" if condition.locked() else "unlocked")
    await task
    return log


@scenario("in a thread", takes=0)
async def a_thread_of_the_default_executor(second: float) -> str:
    """A timeout is enough for it, however short it is in virtual seconds."""
    return await asyncio.wait_for(asyncio.to_thread(lambda: "in a thread"), 1000)


# --- timeouts as contexts ------------------------------------------------------------------------


@scenario(["TimeoutError", True], takes=1, needs=NEW)
async def timeout_cuts_off(second: float) -> list[Any]:
    """The cancellation is turned into TimeoutError, outside."""
    scope = timeout(second)
    try:
        async with scope:
            await asyncio.sleep(1000)
    except TimeoutError:
        return ["TimeoutError", scope.expired()]
    return []


@scenario(["ended", False], takes=1, needs=NEW)
async def timeout_leaves_alone_what_is_in_time(second: float) -> list[Any]:
    """It has not expired."""
    async with timeout(1000) as scope:
        log = [await asyncio.sleep(second, "ended")]
    return [*log, scope.expired()]


@scenario(["ended", None, True], takes=2, needs=NEW)
async def timeout_can_be_moved(second: float) -> list[Any]:
    """`reschedule` puts it off, or forward; None takes it away."""
    log: list[Any] = []
    async with timeout(1000) as scope:
        scope.reschedule(None)
        log.append(await asyncio.sleep(second, "ended"))
    never = timeout(None)
    log.append(never.when())
    try:
        async with never:
            never.reschedule(now() + second)
            await asyncio.sleep(1000)
    except TimeoutError:
        log.append(never.expired())
    return log


@scenario(["TimeoutError"], takes=1, needs=NEW)
async def timeout_at_a_time_of_the_loop(second: float) -> list[str]:
    """It cuts off then."""
    try:
        async with timeout_at(now() + second):
            await asyncio.sleep(1000)
    except TimeoutError:
        return ["TimeoutError"]
    return []


@scenario(["inner", False], takes=1, needs=NEW)
async def nested_timeouts(second: float) -> list[Any]:
    """Only the one whose time has come expires."""
    async with timeout(1000) as outer:
        try:
            async with timeout(second):
                await asyncio.sleep(1000)
        except TimeoutError:
            return ["inner", outer.expired()]
    return []


@scenario(["cancelled", "ValueError"], takes=1, needs=NEW)
async def a_task_group_that_fails(second: float) -> list[str]:
    """Its other tasks are cancelled then, and waited for."""
    log: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(second)
        raise ValueError

    async def other() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            log.append("cancelled")

    try:
        async with getattr(asyncio, "TaskGroup")() as group:  # noqa: B009  new in Python 3.11
            group.create_task(fail())
            group.create_task(other())
    except BaseException as error:  # noqa: BLE001  an ExceptionGroup, new in Python 3.11
        (cause,) = getattr(error, "exceptions")  # noqa: B009
        log.append(type(cause).__name__)
    return log


# --- at the same instant -------------------------------------------------------------------------


def at(when: float, action: Callable[[], object]) -> None:
    """Do something at a time of the loop."""
    asyncio.get_running_loop().call_at(when, action)


@scenario(["TimeoutError", True], takes=1, needs=NEW)
async def a_timeout_and_then_the_result(second: float) -> list[Any]:
    """The timeout was set first: the future is cancelled, and its result comes too late."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    when = now() + second
    try:
        async with timeout_at(when):
            at(when, lambda: None if future.cancelled() else future.set_result("value"))
            await future
    except TimeoutError:
        return ["TimeoutError", future.cancelled()]
    return []


@scenario(["TimeoutError", "value"], takes=100, needs=NEW)
async def the_result_and_then_a_timeout(second: float) -> list[Any]:
    """The result was there first, and yet who waits is cancelled before he has run."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    # A timeout that is over when it is set comes first: it is far off, where time is real, too.
    when = now() + 100 * second
    at(when, lambda: future.set_result("value"))
    try:
        async with timeout_at(when):
            await future
    except TimeoutError:
        return ["TimeoutError", future.result()]
    return []


@scenario(["cancelled", "item"], takes=1)
async def an_item_for_who_is_cancelled(second: float) -> list[Any]:
    """It stays in the queue."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(queue.get())
    when = now() + second
    at(when, lambda: queue.put_nowait("item"))
    at(when, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return ["cancelled", queue.get_nowait()]
    return []


def set_unless_done(future: asyncio.Future[None]) -> None:
    """Let a future have come."""
    if not future.done():
        future.set_result(None)


@scenario(["cancelled", "cancelled"], takes=1)
async def a_cancellation_at_the_end_of_a_sleep(second: float) -> list[str]:
    """Before or after the sleep's own timer: the task has not run yet, and is cancelled."""
    log: list[str] = []
    when = now() + second

    async def sleep(future: asyncio.Future[None]) -> None:
        try:
            await future
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    loop = asyncio.get_running_loop()
    futures = [loop.create_future(), loop.create_future()]
    tasks = [asyncio.create_task(sleep(future)) for future in futures]
    at(when, tasks[0].cancel)
    for future in futures:
        at(when, functools.partial(set_unless_done, future))
    at(when, tasks[1].cancel)
    await asyncio.wait(tasks)
    return log


@scenario.parametrize
@pytest.mark.parametrize("backend", ASYNCIO)
def test_asyncio(scenario: Scenario, backend: str) -> None:
    """What asyncio documents holds in virtual time, as it does in real time."""
    scenario.check(backend)


# --- what virtual time promises beyond that ------------------------------------------------------


@pytest.mark.parametrize("backend", ASYNCIO)
def test_timers_of_one_instant_ring_in_the_order_in_which_they_were_set(backend: str) -> None:
    """Which asyncio leaves open."""

    async def main() -> list[int]:
        loop, log = asyncio.get_running_loop(), list[int]()
        for number in range(100):
            loop.call_at(1, log.append, number)
        await asyncio.sleep(1)
        return log

    assert list(range(100)) == in_virtual_time(backend, main)


@pytest.mark.parametrize("backend", ASYNCIO)
def test_a_timer_rings_exactly_at_its_time(backend: str) -> None:
    """Not a clock's resolution before it, nor at a time that was added up; for centuries."""
    times = [0.1, 0.3, 0.3 + 1e-10, 1 / 3, 1.5, 1e3 + 0.1, 2.0**24 + 0.1, 1e10, 1e10 + 1e-5]
    times += ANY_TIMES
    times.sort()

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        log: list[float] = []
        for when in reversed(times):
            loop.call_at(when, lambda: log.append(loop.time()))
        await asyncio.sleep(2e10)
        return log

    assert times == in_virtual_time(backend, main)


@pytest.mark.parametrize("backend", ASYNCIO)
def test_thousands_of_cancelled_timers_are_forgotten(backend: str) -> None:
    """A timeout that did not strike costs nothing for long."""

    async def main() -> float:
        for _ in range(3000):
            await asyncio.wait_for(asyncio.sleep(1), 1e6)
        return now()

    assert 3000 == in_virtual_time(backend, main)


def test_a_loop_that_is_closed_takes_no_timers() -> None:
    """It says so, as asyncio's own."""

    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = in_virtual_time("asyncio", main)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_later(1, print)
