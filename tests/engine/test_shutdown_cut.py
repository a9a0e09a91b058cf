"""Work that is cut off: whose, when, and for how long it is waited for after that."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import trio

from lifecycle import Lifetime, Registry, Settings, System, running
from lifecycle._engine.in_flight import Hold
from lifecycle.errors import DeadlockError, WorkCancelledError, leaf
from tests.engine.kit import Life
from tests.engine.parts import asked, end, fail, ignoring, part, summary, unwinding

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from lifecycle import Component

GRACE = Settings(grace_period=10, close_reserve=2)
"""The drain is over after 7.5 s: 10, less 0.5 and 2."""


async def work(
    life: Life, system: System, of: Component[str] | None, until_unwound: Callable[[], Any]
) -> None:
    """Be work that is cut off, and takes some time to unwind."""
    name = "system" if of is None else of.name
    with pytest.raises(WorkCancelledError), system.hold(name, component=of):
        await until_unwound()
    life.note(f"work of {name} has unwound")


@pytest.mark.rule("D4")
@pytest.mark.parametrize("other", ["component", "system"])
def test_each_work_has_its_own_time_to_unwind(life: Life, other: str) -> None:
    """What was cut off earlier, and goes on, takes nothing of the time of what was cut later."""
    shop = Registry("shop")
    jobs = part(shop, "jobs", drain_timeout=1.4, stop=lambda: life.note("jobs stops"))
    rude = part(shop, "rude", drain_timeout=1)

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            of = rude if other == "component" else None
            group.start_soon(work, life, system, of, unwinding(5))
            group.start_soon(work, life, system, jobs, unwinding(0.3))
            await anyio.wait_all_tasks_blocked()
            await asked(system)

    life.live(shop, body, Settings(drain_timeout=1))

    assert ["1.7 work of jobs has unwound", "1.7 jobs stops"] == [
        line for line in life.log if "jobs" in line
    ]


@pytest.mark.rule("D4")
def test_what_was_cut_just_before_the_end_of_all_has_its_time(life: Life) -> None:
    """The end of the time of all moves nobody's own: each is waited for 0.5 s, and no longer."""
    shop = Registry("shop")
    early = part(shop, "early", drain_timeout=7.3)
    late = part(shop, "late")

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(work, life, system, early, unwinding(5))
            group.start_soon(work, life, system, late, unwinding(5))
            await anyio.wait_all_tasks_blocked()
            await asked(system)

    life.live(shop, body, GRACE, observers=[life.observe])

    assert [
        "7.3 early lost ('early',)",
        "7.5 late lost ('late',)",
        "7.8 early drained",
        "8 late drained",
        "8 = closing",
        "8 late stops",
    ] == [line for line in end(life) if line.startswith(("7", "8"))][:6]


@pytest.mark.rule("D4", "G4")
@pytest.mark.parametrize("own", [True, False])
def test_the_cut_of_very_many(*, own: bool) -> None:
    """The work of each component is cut off at the cost of that work, and not of everyone's."""
    few = min(_time_of_a_cut(2_000, own=own) for _ in range(3))
    many = _time_of_a_cut(20_000, own=own)

    assert many < 40 * few  # it is 13 times that; quadratic, 90 times


def _time_of_a_cut(many: int, *, own: bool) -> float:
    """How long it takes, in seconds of CPU, with that many components."""
    life = Life("asyncio")
    shop = Registry("shop")
    values = [shop.value(number, name=str(number)) for number in range(many)]
    began: list[float] = []

    async def body(system: System) -> None:
        for value in values:
            system.hold("order", component=value, on_cut=int).__enter__()
        began.append(time.thread_time())
        await asked(system)

    settings = Settings(drain_timeout=1 if own else None, grace_period=10, close_reserve=2)
    lived = life.live(shop, body, settings)
    took = time.thread_time() - began[0]

    assert lived.report is not None
    assert (many, many) == (len(lived.report.in_flight), len(lived.report.errors))
    return took


@pytest.mark.rule("D4", "D7")
@pytest.mark.parametrize("holds", [True, False])
def test_the_body_has_the_time_of_what_belongs_to_nobody(life: Life, *, holds: bool) -> None:
    """``drain_timeout`` of the settings ends it, beside work, 0.5 s later, or without."""
    shop = Registry("shop")
    part(shop, "database", drain=4, drain_timeout=6)

    async def body(system: System) -> None:
        system.shut_down("asked")
        if holds:
            await work(life, system, None, anyio.sleep_forever)
        try:
            await anyio.sleep_forever()
        finally:
            life.note("the body is cut off")

    lived = life.live(shop, body, Settings(grace_period=10, close_reserve=2, drain_timeout=3))

    unwound = ["3 work of system has unwound", "3.5 the body is cut off"]
    assert (unwound if holds else ["3 the body is cut off"]) == life.log
    assert ["DrainTimeoutError"] * len(life.log) == summary(lived)[2]
    assert "when its 3 s to drain ran out" in lived.errors[-1]


@pytest.mark.rule("D4", "D7")
def test_a_body_that_handles_its_cut_work_has_time_for_that(life: Life) -> None:
    """Also where the own time of what belongs to nobody ends while it does."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        system.shut_down("asked")
        with pytest.raises(WorkCancelledError), system.hold("order"):
            await anyio.sleep_forever()
        await anyio.sleep(0.4)
        life.note("put back")

    settings = Settings(grace_period=10, close_reserve=2, drain_timeout=7.6)
    lived = life.live(shop, body, settings)

    assert ["7.9 put back"] == life.log
    assert ("incomplete", 75, ["DrainTimeoutError"]) == summary(lived)


@pytest.mark.rule("D4", "D6")
@pytest.mark.parametrize("check", ["well", "stuck"])
def test_a_component_that_is_cut_off_is_told_of_once(life: Life, check: str) -> None:
    """Its work, and then its hook: one error, whatever else went wrong with the component."""
    shop = Registry("shop")

    async def drain() -> None:
        with contextlib.suppress(WorkCancelledError), Lifetime.current().hold("flush"):
            await anyio.sleep_forever()
        await anyio.sleep_forever()

    jobs = part(shop, "jobs", drain=drain)

    @jobs.check
    async def _(_: str) -> None:
        if check == "stuck":
            await ignoring(2)()

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(system.check)
            await anyio.wait_all_tasks_blocked()
            system.shut_down("asked")
            await system.closed()

    lived = life.live(shop, body, GRACE)

    stuck = ["StopError"] if check == "stuck" else []
    assert [*stuck, "DrainTimeoutError"] == summary(lived)[2]


# --- what leaves a hold -----------------------------------------------------------------------


@pytest.mark.rule("D4")
def test_an_error_of_work_in_a_thread_leaves_as_it_is(life: Life) -> None:
    """Also where the work was cut off: in a thread no event loop runs that could be asked."""
    shop = Registry("shop")
    stuck = life.stuck()

    class Worker:
        def start(self) -> None:
            """Start."""

        def drain(self) -> None:
            with Lifetime.current().hold("report", on_cut=stuck.release):
                stuck.block()
                fail("mine")

    shop.add(Worker(), name="worker")

    lived = life.live(shop, asked, GRACE)

    assert ("incomplete", 75, ["DrainTimeoutError", "StopError"]) == summary(lived)
    assert lived.report is not None
    assert "ValueError('mine')" == repr(lived.report.errors[1].__cause__)


@pytest.mark.rule("D4")
def test_work_in_a_bare_callback_may_fail(life: Life) -> None:
    """Its own error leaves, and it is no longer in flight: no task is needed for either."""
    shop = Registry("shop")
    seen: list[BaseException] = []

    async def body(system: System) -> None:
        called = anyio.Event()

        def callback() -> None:
            try:
                with system.hold("call", on_cut=called.set):
                    fail()
            except BaseException as error:  # noqa: BLE001  the test looks at it
                seen.append(error)
            called.set()

        if life.backend == "trio":
            trio.lowlevel.current_trio_token().run_sync_soon(callback)
        else:
            loop = asyncio.get_running_loop()
            loop.call_soon(callback, context=contextvars.Context())
        await called.wait()
        assert () == system.status().in_flight

    lived = life.live(shop, body, observers=[life.observe])

    assert [ValueError] == [type(error) for error in seen]
    assert lived.error is None
    assert "0 closed: clean, 0" == life.log[-1]


@pytest.mark.rule("D4")
def test_work_that_is_left_in_another_task(life: Life) -> None:
    """That is an error where it has no `on_cut`, and it ends all the same."""
    if life.backend == "trio":
        pytest.skip("trio itself does not survive a scope that is left in another task")
    shop = Registry("shop")

    async def body(system: System) -> None:
        hold = system.hold("call")
        hold.__enter__()

        async def leave() -> None:
            with pytest.raises(RuntimeError, match="cancel scope"):
                hold.__exit__(None, None, None)
            assert () == system.status().in_flight

        async with anyio.create_task_group() as group:
            group.start_soon(leave)
        hold.__exit__(None, None, None)  # where it should have been

    life.live(shop, body, observers=[life.observe])

    assert "0 closed: clean, 0" == life.log[-1]


@pytest.mark.rule("D4")
def test_work_that_is_cut_off_in_a_group_of_tasks(life: Life) -> None:
    """What fails in it as it is cut off leaves, and it is no longer in flight."""
    shop = Registry("shop")
    seen: list[BaseException] = []

    async def fail_at_the_end() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            fail()

    async def body(system: System) -> None:
        system.shut_down("asked")
        try:
            with system.hold("order"):
                async with anyio.create_task_group() as group:
                    group.start_soon(fail_at_the_end)
                    await anyio.sleep_forever()
        except BaseException as error:  # noqa: BLE001  the test looks at it
            seen.append(error)
        assert () == system.status().in_flight

    life.live(shop, body, GRACE, observers=[life.observe])

    assert [ValueError] == [type(leaf(error)) for error in seen]
    assert "7.5 closed: incomplete, 75" == end(life)[-1]


# --- waiting for the end ----------------------------------------------------------------------


@pytest.mark.rule("B4")
def test_a_task_that_outlives_the_work_that_began_it_may_wait_for_the_end(life: Life) -> None:
    """Nothing waits for it: what it was begun in is no longer in flight."""
    shop = Registry("shop")

    async def wait(system: System, may: anyio.Event) -> None:
        await may.wait()
        life.note(f"told {(await system.closed()).outcome}")

    async def body(system: System) -> None:
        may = anyio.Event()
        async with anyio.create_task_group() as group:
            with system.hold("order"):
                group.start_soon(wait, system, may)
                await anyio.wait_all_tasks_blocked()
            may.set()
            await anyio.wait_all_tasks_blocked()
            await asked(system)

    assert life.live(shop, body).error is None
    assert ["told clean"] == life.words


@pytest.mark.rule("B4")
@pytest.mark.parametrize("inner_of", ["the same", "another"])
def test_waiting_for_the_end_around_inner_work(life: Life, inner_of: str) -> None:
    """What the end waits for may be work further out: in it, and in a task that was begun in it."""
    shop, other = Registry("shop"), Registry("other")

    async def wait(system: System, may: anyio.Event) -> None:
        await may.wait()
        with pytest.raises(DeadlockError, match="'outer' waits"):
            await system.closed()
        life.note("refused")

    async def body(system: System) -> None:
        async with running(other) as another:
            inner = system if inner_of == "the same" else another
            may = anyio.Event()
            with system.hold("outer"):
                async with anyio.create_task_group() as group:
                    with inner.hold("inner"):
                        group.start_soon(wait, system, may)
                        await anyio.wait_all_tasks_blocked()
                        if inner is another:
                            with pytest.raises(DeadlockError, match="'outer' waits"):
                                await system.closed()
                    may.set()

    assert life.live(shop, body).error is None
    assert ["refused"] == life.words


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_what_has_ended_is_not_kept(loop: str) -> None:
    """Where each piece of work begins the next one, in a task of its own, they do not pile up."""
    shop = Registry("shop")
    kept: list[str] = []

    async def order(system: System, group: TaskGroup, left: int) -> None:
        with system.hold("order that begins another"):
            if left:
                group.start_soon(order, system, group, left - 1)
                await anyio.lowlevel.checkpoint()
        if not left:
            gc.collect()
            holds = [each for each in gc.get_objects() if isinstance(each, Hold)]
            kept.extend(hold.what for hold in holds if hold.what.startswith("order that"))

    async def main() -> None:
        async with running(shop) as system, anyio.create_task_group() as group:
            group.start_soon(order, system, group, 99)

    anyio.run(main, backend=loop)  # where time is virtual, contexts are kept

    # The last ones may be known to tasks that have not gone yet.
    assert len(kept) <= 5
