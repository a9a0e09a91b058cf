"""trio's timing functions, in real time and in virtual time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio
import trio.testing

from tests.testing.kit import ANY_TIMES, Scenarios, in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.testing.kit import Scenario

scenario = Scenarios()


@scenario([True, True, True], takes=3)
async def sleep_until_waits_for_a_time(second: float) -> list[bool]:
    """Whatever the order in which they began; one that has passed is none."""
    log: list[bool] = []
    began = trio.current_time()

    async def sleep(seconds: float) -> None:
        await trio.sleep_until(began + seconds * second)
        log.append(trio.current_time() >= began + seconds * second)

    async with trio.open_nursery() as nursery:
        for seconds in 3, 1, -1:
            nursery.start_soon(sleep, seconds)
    return log


@scenario([True, True], takes=2)
async def sleep_takes_time(second: float) -> list[bool]:
    """None is none, and a negative one is an error."""
    began = trio.current_time()
    await trio.sleep(2 * second)
    try:
        await trio.sleep(-1)
    except ValueError:
        return [trio.current_time() >= began + 2 * second, True]
    return []


@scenario([True, False], takes=2)
async def move_on_after_and_at(second: float) -> list[bool]:
    """What is in time is left alone."""
    with trio.move_on_after(second) as short:
        await trio.sleep_forever()
    with trio.move_on_at(trio.current_time() + 1000) as long:
        await trio.sleep(second)
    return [short.cancelled_caught, long.cancelled_caught]


@scenario(["after", "at"], takes=2)
async def fail_after_and_at(second: float) -> list[str]:
    """TooSlowError."""
    log: list[str] = []
    try:
        with trio.fail_after(second):
            await trio.sleep_forever()
    except trio.TooSlowError:
        log.append("after")
    try:
        with trio.fail_at(trio.current_time() + second):
            await trio.sleep_forever()
    except trio.TooSlowError:
        log.append("at")
    return log


@scenario([True, True], takes=1)
async def a_relative_deadline(second: float) -> list[bool]:
    """It counts from when the scope is entered."""
    scope = trio.CancelScope(relative_deadline=second)
    began = trio.current_time()
    with scope:
        await trio.sleep_forever()
    return [scope.cancelled_caught, trio.current_time() >= began + second]


@scenario([True, math.inf], takes=1)
async def the_effective_deadline(second: float) -> list[object]:
    """The nearest of those around; none inside a shield."""
    log: list[object] = []
    with trio.move_on_after(second), trio.move_on_after(1000):
        log.append(trio.current_effective_deadline() <= trio.current_time() + second)
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            log.append(trio.current_effective_deadline())
        await trio.sleep_forever()
    return log


@scenario(["one", True], takes=2)
async def a_deadline_that_is_moved(second: float) -> list[object]:
    """Put off, and brought forward by another task."""
    log: list[object] = []
    with trio.CancelScope(deadline=trio.current_time() + 1000) as scope:
        scope.deadline = math.inf
        await trio.sleep(second)
        log.append("one")

        async def hurry() -> None:
            await trio.sleep(second)
            scope.deadline = -math.inf

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hurry)
            await trio.sleep_forever()
    return [*log, scope.cancelled_caught]


@scenario(["value", "set"], takes=2)
async def channels_and_events(second: float) -> list[str]:
    """What another task brings later."""
    log: list[str] = []
    event = trio.Event()
    send, receive = trio.open_memory_channel[str](0)

    async def bring() -> None:
        await trio.sleep(second)
        await send.send("value")
        await trio.sleep(second)
        event.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bring)
        with trio.fail_after(1000):
            log.append(await receive.receive())
            await event.wait()
            log.append("set")
    return log


@scenario(["in a thread", "asked from it", True], takes=1)
async def threads(second: float) -> list[object]:
    """Those of trio's, and what they ask the event loop for."""
    began = trio.current_time()

    def ask() -> str:
        trio.from_thread.run(trio.sleep, second)
        return trio.from_thread.run_sync(lambda: "asked from it")

    with trio.fail_after(1000):
        log = [await trio.to_thread.run_sync(lambda: "in a thread")]
        log.append(await trio.to_thread.run_sync(ask))
    return [*log, trio.current_time() >= began + second]


# --- at the same instant -------------------------------------------------------------------------


@scenario([True, False], takes=1)
async def a_sleep_that_ends_at_the_deadline_around_it(second: float) -> list[bool]:
    """The outer scope wins."""
    ended = False
    deadline = trio.current_time() + second
    with trio.CancelScope(deadline=deadline) as scope:
        await trio.sleep_until(deadline)
        ended = True
    return [scope.cancelled_caught, ended]


@scenario([True, True], takes=1)
async def an_event_that_is_set_when_its_waiter_is_cancelled(second: float) -> list[bool]:
    """Who was woken goes on; the cancellation is for the next checkpoint."""
    woken = False
    event = trio.Event()
    with trio.CancelScope() as scope:

        async def both() -> None:
            await trio.sleep(second)
            event.set()
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(both)
            await event.wait()
            woken = True
            await trio.lowlevel.checkpoint()
            woken = False
    return [scope.cancelled_caught, woken]


@scenario.parametrize
def test_trio(scenario: Scenario) -> None:
    """What trio documents holds in virtual time, as it does in real time."""
    scenario.check("trio")


# --- what virtual time promises beyond that ------------------------------------------------------


def test_a_deadline_is_met_exactly() -> None:
    """To the last bit, and for centuries."""
    times = [0.1, 0.3, 1 / 3, 1.5, 1e3 + 0.1, 2.0**24 + 0.1, 1e10, 1e10 + 1e-5]
    times += ANY_TIMES
    times.sort()

    async def main() -> list[float]:
        log: list[float] = []
        for when in times:
            await trio.sleep_until(when)
            log.append(trio.current_time())
        return log

    assert times == in_virtual_time("trio", main)


def test_time_begins_at_nothing_each_time() -> None:
    """And does not go on from one run to the next."""

    async def main() -> list[float]:
        began = trio.current_time()
        await trio.sleep(5)
        return [began, trio.current_time()]

    assert [0, 5] == in_virtual_time("trio", main)
    assert [0, 5] == in_virtual_time("trio", main)


def test_a_guest_of_another_loop() -> None:
    """Virtual time works in guest mode, which is how anyio's pytest plugin runs trio."""
    import queue  # noqa: PLC0415  only here

    from lifecycle import testing  # noqa: PLC0415  likewise

    todo: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    done: list[float] = []

    async def main() -> float:
        await trio.sleep(1000)
        await trio.to_thread.run_sync(int)
        return trio.current_time()

    async_fn: Callable[[], Awaitable[float]] = main
    trio.lowlevel.start_guest_run(
        async_fn,
        run_sync_soon_threadsafe=todo.put,
        done_callback=lambda outcome: done.append(outcome.unwrap()),
        **testing.backend("trio")[1],
    )
    while not done:
        todo.get(timeout=20)()
    assert [1000] == done


def test_who_waits_until_all_tasks_are_blocked_goes_before_time() -> None:
    """With a cushion or none: no time passes before."""

    async def main() -> list[float]:
        times: list[float] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            for cushion in 0, 0.01:
                await trio.testing.wait_all_tasks_blocked(cushion)
                times.append(trio.current_time())
        return [*times, trio.current_time()]

    assert [0, 0, 1] == in_virtual_time("trio", main)
