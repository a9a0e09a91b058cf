"""anyio's timing functions, in real time and in virtual time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread

from tests.testing.kit import Scenarios, in_virtual_time

if TYPE_CHECKING:
    from tests.testing.kit import Scenario

scenario = Scenarios()


@scenario({"one": True, "two": True, "three": True}, takes=3)
async def sleeps_end_when_their_time_has_come(second: float) -> dict[str, bool]:
    """None is too short, and all of them together take as long as the longest."""
    log: dict[str, bool] = {}

    async def sleep(name: str, seconds: float) -> None:
        began = anyio.current_time()
        await anyio.sleep(seconds * second)
        log[name] = anyio.current_time() >= began + seconds * second

    async with anyio.create_task_group() as group:
        for name, seconds in ("three", 3), ("one", 1), ("two", 2):
            group.start_soon(sleep, name, seconds)
    return log


@scenario(["other", "self"], takes=0)
async def sleep_of_nothing_lets_others_run(second: float) -> list[str]:
    """`sleep(0)` is a checkpoint, and takes no time."""
    log: list[str] = []

    async def other() -> None:
        log.append("other")

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await anyio.sleep(0)  # noqa: ASYNC115  what is tested
        await anyio.sleep(0)  # noqa: ASYNC115  trio shuffles: now everybody has had his turn
        log.append("self")
    return log


@scenario([True, True, True], takes=2)
async def sleep_until_waits_for_a_time(second: float) -> list[bool]:
    """It returns when that has come, and at once if it has passed."""
    began = anyio.current_time()
    await anyio.sleep_until(began + 2 * second)
    ended = anyio.current_time()
    await anyio.sleep_until(began)
    await anyio.sleep_until(-math.inf)
    return [ended >= began + 2 * second, anyio.current_time() >= ended, ended > began]


@scenario([True, True, "never ended"], takes=1)
async def move_on_after_cuts_off(second: float) -> list[object]:
    """What is inside is cancelled at the deadline, and the program goes on after it."""
    log: list[object] = ["never ended"]
    with anyio.move_on_after(second) as scope:
        await anyio.sleep_forever()
        log.append("ended")
    return [scope.cancel_called, scope.cancelled_caught, *log]


@scenario([False, False, "ended"], takes=1)
async def move_on_after_leaves_alone_what_is_in_time(second: float) -> list[object]:
    """A scope that was left is not cancelled later."""
    with anyio.move_on_after(1000) as scope:
        await anyio.sleep(second)
    return [scope.cancel_called, scope.cancelled_caught, "ended"]


@scenario("TimeoutError", takes=1)
async def fail_after_raises(second: float) -> str:
    """TimeoutError, at the deadline."""
    try:
        with anyio.fail_after(second):
            await anyio.sleep_forever()
    except TimeoutError:
        return "TimeoutError"
    return "nothing"


@scenario("the body's own", takes=1)
async def fail_after_hides_no_other_error(second: float) -> str:
    """An error of the body goes through, at whatever time."""

    async def fail() -> None:
        await anyio.sleep(second)
        raise LookupError

    try:
        with anyio.fail_after(1000):
            await fail()
    except LookupError:
        return "the body's own"
    return "nothing"


@scenario([(True, True), (False, False)], takes=1)
async def the_inner_deadline_first(second: float) -> list[tuple[bool, bool]]:
    """Only the inner scope is left by it."""
    inner = anyio.CancelScope(deadline=anyio.current_time() + second)
    with anyio.move_on_after(1000) as outer, inner:
        await anyio.sleep_forever()
    return [(one.cancel_called, one.cancelled_caught) for one in (inner, outer)]


@scenario([(False, False), (True, True)], takes=1)
async def the_outer_deadline_first(second: float) -> list[tuple[bool, bool]]:
    """Both are left by it; the inner one did not do it."""
    inner = anyio.CancelScope(deadline=anyio.current_time() + 1000)
    with anyio.move_on_after(second) as outer, inner:
        await anyio.sleep_forever()
    return [(one.cancel_called, one.cancelled_caught) for one in (inner, outer)]


@scenario(["shielded work ended", True], takes=2)
async def a_shield_holds_until_it_is_left(second: float) -> list[object]:
    """The cancellation of a deadline that passed meanwhile is delivered after it."""
    log: list[object] = []
    with anyio.move_on_after(second) as scope:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2 * second)
            log.append("shielded work ended")
        await anyio.lowlevel.checkpoint()
        log.append("never")
    return [*log, scope.cancelled_caught]


@scenario(["one", False], takes=1)
async def a_deadline_can_be_put_off(second: float) -> list[object]:
    """It is the last one set that counts."""
    log: list[object] = []
    with anyio.move_on_after(1000) as scope:
        scope.deadline = math.inf
        await anyio.sleep(second)
        log.append("one")
    return [*log, scope.cancelled_caught]


@scenario([True], takes=1)
async def a_deadline_can_be_brought_forward(second: float) -> list[bool]:
    """By another task, too, while the scope's own one sleeps."""
    with anyio.CancelScope() as scope:

        async def hurry() -> None:
            await anyio.sleep(second)
            scope.deadline = anyio.current_time()

        async with anyio.create_task_group() as group:
            group.start_soon(hurry)
            await anyio.sleep_forever()
    return [scope.cancelled_caught]


@scenario([True, True], takes=0)
async def a_deadline_that_has_passed(second: float) -> list[bool]:
    """It cancels at the first checkpoint."""
    with anyio.move_on_after(0) as now:
        await anyio.sleep_forever()
    with anyio.CancelScope(deadline=anyio.current_time() - second) as earlier:
        await anyio.sleep_forever()
    return [now.cancelled_caught, earlier.cancelled_caught]


@scenario([True, True, True], takes=0)
async def the_effective_deadline(second: float) -> list[bool]:
    """The nearest of those around, none inside a shield, minus infinity once cancelled."""
    log: list[bool] = []
    with anyio.fail_after(1000), anyio.fail_after(5 * second):  # noqa: ASYNC100  it is just asked
        log.append(anyio.current_effective_deadline() <= anyio.current_time() + 5 * second)
        with anyio.CancelScope(shield=True):  # noqa: ASYNC100  likewise
            log.append(anyio.current_effective_deadline() == math.inf)
        with anyio.CancelScope() as scope:  # noqa: ASYNC100  likewise
            scope.cancel()
            log.append(anyio.current_effective_deadline() == -math.inf)
    return log


@scenario([True, True], takes=1)
async def one_deadline_for_two_scopes(second: float) -> list[bool]:
    """Both are cancelled; the outer one is what is left."""
    deadline = anyio.current_time() + second
    inner = anyio.CancelScope(deadline=deadline)
    with anyio.CancelScope(deadline=deadline) as outer:
        with inner:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
    return [inner.cancel_called or outer.cancel_called, outer.cancel_called]


@scenario([2, ["cut off", "cut off"]], takes=1)
async def a_deadline_around_a_group(second: float) -> list[object]:
    """All tasks of the group are cancelled, and waited for."""
    log: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("cut off")

    with anyio.move_on_after(second):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(work)
    return [len(log), log]


@scenario(["cleaned up", "moved on"], takes=3)
async def cleanup_takes_its_time(second: float) -> list[str]:
    """Shielded cleanup runs on after the deadline, and the scope is left after it."""
    log: list[str] = []
    with anyio.move_on_after(second):
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2 * second)
                log.append("cleaned up")
    return [*log, "moved on"]


@scenario(["received", "timed out"], takes=1)
async def waiting_for_an_item(second: float) -> list[str]:
    """An item that is there is had at once; one that never comes costs the whole timeout."""
    log: list[str] = []
    send, receive = anyio.create_memory_object_stream[str](1)
    async with send, receive:
        await send.send("received")
        with anyio.fail_after(1000):
            log.append(await receive.receive())
        with anyio.move_on_after(second):
            await receive.receive()
            log.append("never")
    return [*log, "timed out"]


@scenario(["set", "timed out"], takes=3)
async def waiting_for_an_event(second: float) -> list[str]:
    """One is set in time; the other is not."""
    log: list[str] = []
    soon, never = anyio.Event(), anyio.Event()

    async def set_soon() -> None:
        await anyio.sleep(second)
        soon.set()

    async with anyio.create_task_group() as group:
        group.start_soon(set_soon)
        with anyio.fail_after(1000):
            await soon.wait()
            log.append("set")
        with anyio.move_on_after(2 * second):
            await never.wait()
            log.append("never")
    return [*log, "timed out"]


@scenario(7, takes=0)
async def a_thread_under_a_timeout(second: float) -> int:
    """Time is enough for it, however short it is in virtual seconds."""
    with anyio.fail_after(1000):
        return await anyio.to_thread.run_sync(lambda: 7)


# --- at the same instant -------------------------------------------------------------------------


@scenario([True, False], takes=1)
async def a_sleep_that_ends_at_the_deadline_around_it(second: float) -> list[bool]:
    """The scope wins: what would end at its deadline is cut off."""
    ended = False
    deadline = anyio.current_time() + second
    with anyio.CancelScope(deadline=deadline) as scope:
        await anyio.sleep_until(deadline)
        ended = True
    return [scope.cancelled_caught, ended]


@scenario([True, False], takes=1)
async def a_value_that_comes_and_is_cancelled(second: float) -> list[bool]:
    """Whoever was woken, and is cancelled before he runs, is cancelled."""
    got = False
    event = anyio.Event()
    with anyio.CancelScope() as scope:

        async def both() -> None:
            await anyio.sleep(second)
            event.set()
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(both)
            await event.wait()
            await anyio.lowlevel.checkpoint()
            got = True
    return [scope.cancelled_caught, got]


@scenario(["in the scope", "after it"], takes=1)
async def what_needs_no_more_waiting_is_not_cut_off(second: float) -> list[str]:
    """A deadline that passes when no checkpoint follows inside cancels nothing."""
    log: list[str] = []
    with anyio.CancelScope() as scope:
        await anyio.sleep(second)
        scope.deadline = anyio.current_time()
        log.append("in the scope")
    assert not scope.cancelled_caught
    return [*log, "after it"]


@scenario.parametrize
def test_anyio(scenario: Scenario, backend: str) -> None:
    """What anyio documents holds in virtual time, as it does in real time."""
    scenario.check(backend)


def test_all_ends_in_the_order_of_time(backend: str) -> None:
    """Each at its time, to the last bit, whatever the order in which it began."""
    log: list[tuple[float, str]] = []

    async def sleep(seconds: float) -> None:
        await anyio.sleep(seconds)
        log.append((anyio.current_time(), "slept"))

    async def give_up(seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await anyio.sleep_forever()
        log.append((anyio.current_time(), "gave up"))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for seconds in 1.5, 1 / 3, 1e6, 0.1:
                group.start_soon(sleep, seconds)
                group.start_soon(give_up, seconds + 0.05)

    in_virtual_time(backend, main)
    assert [
        (0.1, "slept"),
        (0.1 + 0.05, "gave up"),
        (1 / 3, "slept"),
        (1 / 3 + 0.05, "gave up"),
        (1.5, "slept"),
        (1.55, "gave up"),
        (1e6, "slept"),
        (1e6 + 0.05, "gave up"),
    ] == log
