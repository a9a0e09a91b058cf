"""How the grace period is shared out, and what becomes of hooks that do not keep to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Limits, Registry, Settings, System
from lifecycle.errors import DrainTimeoutError, SettingsError, StopError
from tests.engine.parts import asked, end, fail, forever, ignoring, part, summary, unwinding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle import Report
    from tests.engine.kit import Life, Lived

GRACE = Settings(grace_period=10, close_reserve=2)
"""The drain is over after 7.5 s, everything after 9.5 s."""


def took(lived: Lived, component: str) -> tuple[float | None, float | None]:
    """Say how long a component's drain and stop took."""
    assert lived.report is not None
    of = lived.report.components[component]
    return (
        None if of.drain_time is None else round(of.drain_time, 3),
        None if of.stop_time is None else round(of.stop_time, 3),
    )


def errors(lived: Lived) -> list[tuple[str, str, float | None]]:
    """Give the errors of hooks: of which, and after which time."""
    assert lived.report is not None
    found: list[tuple[str, str, float | None]] = []
    for error in lived.report.errors:
        if isinstance(error, StopError):
            time = None if error.timeout is None else round(error.timeout, 3)
            found.append((error.component, error.hook + "!" * error.abandoned, time))
        elif isinstance(error, DrainTimeoutError):
            found.append((str(error.component), "cut", round(error.timeout, 3)))
    return found


def closed_at(life: Life) -> float:
    """Say when the report was complete."""
    return float(next(line for line in life.log if "closed:" in line).split()[0])


@pytest.mark.rule("D1")
def test_there_is_never_more_than_was_granted(life: Life) -> None:
    """Not by the last digit either, where the clock makes the sum of two times round up."""
    moment = next(one / 1000 for one in range(1, 100_000) if one / 1000 + 10 - one / 1000 > 10)
    left: list[float | None] = []

    async def body(system: System) -> None:
        await anyio.sleep(moment)
        system.shut_down()
        left.append(system.status().time_left)

    life.live(Registry("shop"), body, GRACE)

    assert [10] == left


# --- the own time of a hook --------------------------------------------------------------------


@pytest.mark.rule("D7")
@pytest.mark.parametrize("where", ["declared", "by name", "by handle", "default"])
def test_a_stop_has_its_own_time(life: Life, where: str) -> None:
    """Then it is cancelled; the next one has its turn."""
    shop = Registry("shop")
    options = {"stop_timeout": 2} if where == "declared" else {}
    database = part(shop, "database", stop=1)
    jobs = part(shop, "jobs", stop=forever, requires=database, **options)
    limits: dict[str, dict[Any, Limits]] = {
        "by name": {"jobs": Limits(stop=2)},
        "by handle": {jobs: Limits(stop=2)},
    }
    settings = Settings(limits=limits.get(where, {}), stop_timeout=2 if where == "default" else 9)

    lived = life.live(shop, asked, settings, observers=[life.observe])

    assert [
        "0 jobs stops",
        "2 jobs stopped",
        "2 database stops",
        "3 database stopped",
    ] == [line for line in end(life) if "stop" in line]
    assert [("jobs", "stop", 2)] == errors(lived)
    assert ("incomplete", 75, ["StopError"]) == summary(lived)


@pytest.mark.rule("D7")
@pytest.mark.parametrize("where", ["declared", "by name", "default"])
def test_a_drain_has_its_own_time(life: Life, where: str) -> None:
    """Then it is cancelled; its stop has its full time all the same."""
    shop = Registry("shop")
    options = {"drain_timeout": 2} if where == "declared" else {}
    database = part(shop, "database", drain=1, stop=1, drain_timeout=5)
    part(shop, "jobs", drain=forever, stop=4, requires=database, **options)
    settings = Settings(
        limits={"jobs": Limits(drain=2)} if where == "by name" else {},
        drain_timeout=2 if where == "default" else None,
    )

    lived = life.live(shop, asked, settings, observers=[life.observe])

    assert [("jobs", "cut", 2)] == errors(lived)
    assert [(2, 4), (1, 1)] == [took(lived, "jobs"), took(lived, "database")]
    assert "8 closed: incomplete, 75" == end(life)[-1]


@pytest.mark.rule("D7")
def test_limits_for_nobody(life: Life) -> None:
    """A name that no component has is an error before anything runs."""
    shop = Registry("shop")
    part(shop, "database", start=lambda: life.note("started"))

    lived = life.live(shop, None, Settings(limits={"databse": Limits(start=1)}))

    assert isinstance(lived.error, SettingsError)
    assert "did you mean 'database'" in str(lived.error)
    assert [] == life.log


@pytest.mark.rule("D7")
def test_no_time_to_drain_for_one(life: Life) -> None:
    """``drain_timeout=0`` cuts it off at once."""
    shop = Registry("shop")
    part(shop, "jobs", drain=1, stop=1, drain_timeout=0)
    part(shop, "other", drain=1, stop=1)

    lived = life.live(shop, asked, observers=[life.observe])

    assert [("jobs", "cut", 0)] == errors(lived)
    assert 1 == took(lived, "other")[0]
    assert "2 closed: incomplete, 75" == end(life)[-1]


# --- the shares --------------------------------------------------------------------------------


@pytest.mark.rule("D7")
def test_the_drain_leaves_the_close_its_reserve(life: Life) -> None:
    """However long the drain would take: the close keeps its time, less the unwinding."""
    shop = Registry("shop")
    part(shop, "jobs", drain=unwinding(0.4), stop=1.5)

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    assert [("jobs", "cut", 7.5)] == errors(lived)
    assert "7.9 = closing" in life.log
    assert 9.4 == closed_at(life)


@pytest.mark.rule("D7", "D1")
def test_the_delay_is_part_of_the_grace_period(life: Life) -> None:
    """What the delay takes, the drain does not have."""
    shop = Registry("shop")
    part(shop, "jobs", drain=forever, stop=forever)

    settings = Settings(grace_period=10, close_reserve=2, drain_delay=4)
    lived = life.live(shop, asked, settings, observers=[life.observe])

    assert "4 = draining" in life.log
    assert [("jobs", "cut", 3.5), ("jobs", "stop", 2)] == errors(lived)
    assert 9.5 == closed_at(life)


@pytest.mark.rule("D1")
def test_no_later_event_moves_the_clock_back(life: Life) -> None:
    """The grace runs from the first request, whatever is asked or fails afterwards."""
    shop = Registry("shop")
    part(shop, "jobs", drain=forever, stop=forever)

    @shop.service
    async def orders(own: Lifetime) -> None:
        own.started()
        await anyio.sleep(3)
        fail()

    async def body(system: System) -> None:
        system.shut_down("first")
        await anyio.sleep(1)
        system.shut_down("second")
        assert 9 == system.status().time_left
        await system.closed()

    settings = Settings(grace_period=10, close_reserve=2, drain_delay=4)
    lived = life.live(shop, body, settings, observers=[life.observe])

    assert "3 = draining" in life.log  # a crash ends the delay
    assert 9.5 == closed_at(life)
    assert lived.report is not None
    assert ("first", "incomplete") == (lived.report.reason, lived.report.outcome)


@pytest.mark.rule("D7")
def test_one_stuck_stop_leaves_the_others_their_last_second(life: Life) -> None:
    """The end of a chain is closed even if all before it are stuck."""
    shop = Registry("shop")
    database = part(shop, "database", stop=0.9)
    cache = part(shop, "cache", stop=forever, requires=database)
    jobs = part(shop, "jobs", stop=forever, requires=cache)
    part(shop, "web", stop=forever, requires=jobs)

    lived = life.live(
        shop, asked, Settings(grace_period=10, close_reserve=9), observers=[life.observe]
    )

    # Of 9.5 s the last three of the chain keep a second each.
    assert [("web", "stop", 6.5), ("jobs", "stop", 1), ("cache", "stop", 1)] == errors(lived)
    assert 9.4 == closed_at(life)


@pytest.mark.rule("D7")
def test_where_there_is_less_each_has_an_equal_share(life: Life) -> None:
    """Ten hooks and half a second: each has its twentieth … but no less than a tenth at all."""
    shop = Registry("shop")
    before: str | None = None
    for number in range(4):
        name = f"c{number}"
        part(shop, name, stop=forever, requires=before or ())
        before = name

    settings = Settings(grace_period=2, close_reserve=1)
    lived = life.live(shop, asked, settings, observers=[life.observe])

    assert [
        ("c3", "stop", 0.45),
        ("c2", "stop", 0.45),
        ("c1", "stop", 0.45),
        ("c0", "stop", 0.45),
    ] == errors(lived)
    assert 1.8 == closed_at(life)


@pytest.mark.rule("D7")
def test_drains_leave_each_other_their_last_second_too(life: Life) -> None:
    """A stuck drain leaves those that drain after it a second each."""
    shop = Registry("shop")
    database = part(shop, "database", drain=0.9)
    jobs = part(shop, "jobs", drain=forever, requires=database)
    part(shop, "web", drain=forever, requires=jobs)

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    assert [("web", "cut", 5.5), ("jobs", "cut", 1)] == errors(lived)
    assert (0.9, 0) == took(lived, "database")


@pytest.mark.rule("D7")
def test_independent_hooks_do_not_share(life: Life) -> None:
    """What stops beside a stuck hook has all of its own time."""
    shop = Registry("shop")
    part(shop, "stuck", stop=forever)
    part(shop, "slow", stop=8)

    settings = Settings(grace_period=10, close_reserve=9, stop_timeout=9)
    lived = life.live(shop, asked, settings)

    assert [("stuck", "stop", 9)] == errors(lived)
    assert 8 == took(lived, "slow")[1]


# --- time_left and extend ------------------------------------------------------------------------


@pytest.mark.rule("D7")
def test_time_left(life: Life) -> None:
    """A hook can ask how long it has: its own time, or what is left of the whole."""
    shop = Registry("shop")
    seen: dict[str, float] = {}

    @shop.component(start_timeout=3, stop_timeout=1, drain_timeout=30)
    async def jobs() -> AsyncIterator[None]:
        own = Lifetime.current()
        await anyio.sleep(1)
        seen["start"] = own.time_left
        yield
        await anyio.sleep(0.25)
        seen["stop"] = own.time_left

    @jobs.drain
    async def _(_: None) -> None:
        await anyio.sleep(2)
        seen["drain"] = Lifetime.current().time_left

    assert life.live(shop, asked, GRACE).error is None
    assert {"start": 2, "drain": 5.5, "stop": 0.75} == seen


@pytest.mark.rule("D7")
def test_extend(life: Life) -> None:
    """It moves the hook's own time: of the start, of the drain, of the stop; as often as asked."""
    shop = Registry("shop")

    async def slowly() -> None:
        for _ in range(4):
            Lifetime.current().extend(1)
            await anyio.sleep(1)

    part(
        shop,
        "jobs",
        start=slowly,
        drain=slowly,
        stop=slowly,
        start_timeout=1.5,
        drain_timeout=1.5,
        stop_timeout=1.5,
    )

    lived = life.live(shop, asked)

    assert ("clean", 0, []) == summary(lived)
    assert (4, 4) == took(lived, "jobs")


@pytest.mark.rule("D7")
def test_extend_that_lapses(life: Life) -> None:
    """What is not extended any more runs out."""
    shop = Registry("shop")

    async def slowly() -> None:
        Lifetime.current().extend(1)
        await anyio.sleep_forever()

    part(shop, "jobs", stop=slowly, stop_timeout=1.5)

    assert [("jobs", "stop", 2.5)] == errors(life.live(shop, asked))


@pytest.mark.rule("D7")
def test_extend_after_a_drain_that_was_cut_off(life: Life) -> None:
    """Each hook has a time of its own, whatever became of the one before."""
    shop = Registry("shop")

    async def slowly() -> None:
        Lifetime.current().extend(2)
        await anyio.sleep(2.5)

    part(shop, "jobs", drain=forever, stop=slowly, drain_timeout=1, stop_timeout=1)

    lived = life.live(shop, asked)

    assert [("jobs", "cut", 1)] == errors(lived)
    assert (1, 2.5) == took(lived, "jobs")


@pytest.mark.rule("D7")
def test_extend_moves_no_more_than_that(life: Life) -> None:
    """The grace period stays what it is, and so do the drain's end and the others' seconds."""
    shop = Registry("shop")

    async def greedy() -> None:
        Lifetime.current().extend(1_000)
        await anyio.sleep_forever()

    database = part(shop, "database", stop=0.9)
    part(shop, "jobs", drain=greedy, stop=greedy, drain_timeout=1, requires=database)

    lived = life.live(shop, asked, GRACE, observers=[life.observe])

    assert [("jobs", "cut", 7.5), ("jobs", "stop", 1)] == errors(lived)
    assert 9.4 == closed_at(life)


@pytest.mark.rule("D7")
def test_extend_leaves_those_that_follow_their_last_second(life: Life) -> None:
    """A drain that extends itself takes nothing from the drains that come after it."""
    shop = Registry("shop")

    async def greedy() -> None:
        Lifetime.current().extend(1_000)
        await anyio.sleep_forever()

    database = part(shop, "database", drain=0.9)
    part(shop, "jobs", drain=greedy, drain_timeout=1, requires=database)

    lived = life.live(shop, asked, GRACE)

    assert [("jobs", "cut", 6.5)] == errors(lived)
    assert (0.9, 0) == took(lived, "database")


@pytest.mark.rule("D7")
def test_extend_from_a_thread(life: Life) -> None:
    """Sync hooks extend as well."""
    shop = Registry("shop")
    stuck = life.stuck()

    class Slow:
        def start(self) -> None:
            """Start."""

        def stop(self) -> None:
            Lifetime.current().extend(5)
            stuck.block()

    shop.add(Slow(), name="slow", stop_timeout=1)

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(release)
            await asked(system)

    async def release() -> None:
        await anyio.sleep(4)
        stuck.release()

    lived = life.live(shop, body)

    assert ("clean", 0, []) == summary(lived)
    assert 4 == took(lived, "slow")[1]


# --- hooks that do not end -----------------------------------------------------------------------


@pytest.mark.rule("D8")
def test_a_stop_that_ignores_its_cancellation(life: Life) -> None:
    """It is named, with its stack, and holds nobody up; `running` waits for it all the same."""
    shop = Registry("shop")
    database = part(shop, "database", stop=1)
    part(shop, "jobs", stop=ignoring(30), stop_timeout=2, requires=database)

    async def body(system: System) -> None:
        await asked(system)
        life.note("closed() has returned")

    lived = life.live(shop, body, observers=[life.observe])
    life.note("running has returned")

    assert [
        "0 jobs stops",
        "2.5 jobs abandoned in its stop",
        "2.5 jobs stopped",
        "2.5 database stops",
        "3.5 database stopped",
        "3.5 = closed",
        "3.5 closed: incomplete, 75",
        "3.5 closed() has returned",
        "30 running has returned",
    ] == [line for line in end(life) if "drain" not in line and "closing" not in line]
    assert ("incomplete", 75, ["StopError"]) == summary(lived)
    assert lived.report is not None
    (abandoned,) = lived.report.abandoned
    assert ("jobs", "stop") == (abandoned.component, abandoned.hook)
    assert "await anyio.sleep(seconds)" in abandoned.stack
    assert "abandoned" in lived.errors[0]


@pytest.mark.rule("D8")
def test_tasks_that_are_left_behind(life: Life) -> None:
    """A hook that waits for tasks of its own is left behind with their stacks: a few of many."""
    shop = Registry("shop")

    async def go_on() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(30)

    @shop.component(stop_timeout=2)
    async def jobs() -> AsyncIterator[None]:
        yield
        async with anyio.create_task_group() as tasks:
            for number in range(7):
                tasks.start_soon(go_on, name=f"job {number}")

    lived = life.live(shop, asked)

    assert lived.report is not None
    (abandoned,) = lived.report.abandoned
    assert 5 == abandoned.stack.count("in its task 'job ")
    assert 5 == abandoned.stack.count("await anyio.sleep(30)")
    assert abandoned.stack.endswith("and in 2 more of its tasks\n")


@pytest.mark.rule("D8")
def test_a_thread_that_is_stuck(life: Life) -> None:
    """It cannot be cancelled: it is left behind, with its stack."""
    shop = Registry("shop")
    database = part(shop, "database", stop=1)
    stuck = life.stuck()

    class Stuck:
        def start(self) -> None:
            """Start."""

        def stop(self) -> None:
            stuck.block()

    shop.add(Stuck(), name="stuck", stop_timeout=2, requires=database)

    async def body(system: System) -> None:
        report = await asked_report(system)
        assert [("stuck", "stop")] == [(a.component, a.hook) for a in report.abandoned]
        assert "stuck.block()" in report.abandoned[0].stack
        stuck.release()

    lived = life.live(shop, body, observers=[life.observe])

    assert "2.5 database stops" in life.log
    assert 3.5 == closed_at(life)
    assert [("stuck", "stop!")] == [one[:2] for one in errors(lived)]


async def asked_report(system: System) -> Report:
    """Ask, and give the report."""
    system.shut_down("asked")
    return await system.closed()


@pytest.mark.rule("D8")
def test_a_thread_that_is_stuck_in_its_drain(life: Life) -> None:
    """The drain is left behind; the stop waits for the same thread, and is left behind as well."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1, stop=1)
    stuck = life.stuck()

    class Stuck:
        def start(self) -> None:
            """Start."""

        def drain(self) -> None:
            stuck.block()

        def stop(self) -> None:
            life.note("stuck.stop")

    shop.add(Stuck(), name="stuck", drain_timeout=2, stop_timeout=2, requires=database)

    async def body(system: System) -> None:
        await asked(system)
        life.note("closed() has returned")
        await anyio.sleep(1)
        stuck.release()

    lived = life.live(shop, body, observers=[life.observe])

    assert [("stuck", "cut"), ("stuck", "drain!"), ("stuck", "stop!")] == [
        one[:2] for one in errors(lived)
    ]
    assert "2.5 database drains" in life.log
    assert "6 database stops" in life.log
    assert 7 == closed_at(life)


@pytest.mark.rule("D8")
def test_forty_stuck_threads(life: Life) -> None:
    """They keep nobody else from being stopped."""
    shop = Registry("shop")
    stuck = life.stuck()

    class Stuck:
        def start(self) -> None:
            """Start."""

        def stop(self) -> None:
            stuck.block()

    class Fine:
        def start(self) -> None:
            """Start."""

        def stop(self) -> None:
            life.note("fine")

    for number in range(45):
        shop.add(Stuck(), name=f"stuck{number}", stop_timeout=1)
    shop.add(Fine(), name="fine")

    async def body(system: System) -> None:
        report = await asked_report(system)
        assert 45 == len(report.abandoned)
        stuck.release()

    lived = life.live(shop, body)

    assert "0 fine" in life.log
    assert 45 == len(errors(lived))


@pytest.mark.rule("D7", "D8")
def test_everything_is_stuck(life: Life) -> None:
    """The report is complete within the grace period, whatever ignores what."""
    shop = Registry("shop")
    database = part(shop, "database", drain=ignoring(50), stop=ignoring(50))
    jobs = part(shop, "jobs", drain=ignoring(50), stop=ignoring(50), requires=database)
    part(shop, "web", drain=ignoring(50), stop=ignoring(50), requires=jobs)
    part(shop, "late", start=ignoring(50), start_timeout=1, optional=True, requires=database)

    async def body(system: System) -> None:
        with contextlib.suppress(Exception), system.hold("order"):
            system.shut_down("asked")
            await ignoring(50)()

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    assert closed_at(life) <= 11
    assert ("incomplete", 75) == summary(lived)[:2]


@pytest.mark.rule("D8")
def test_an_optional_start_that_unwinds_ends_with_the_rest(life: Life) -> None:
    """Its patience is bounded by the grace period that began meanwhile."""
    shop = Registry("shop")
    database = part(shop, "database", stop=0.5)
    part(
        shop,
        "late",
        start=ignoring(50),
        start_timeout=1,
        stop_timeout=100,
        optional=True,
        requires=database,
    )

    async def body(system: System) -> None:
        await asked(system)
        life.note("closed() has returned")

    lived = life.live(shop, body, GRACE, observers=[life.observe])

    assert closed_at(life) <= 11
    assert lived.report is not None
    assert [("late", "start")] == [(a.component, a.hook) for a in lived.report.abandoned]


@pytest.mark.rule("D8")
def test_a_stop_that_fails_while_it_is_cancelled(life: Life) -> None:
    """What it raised is the cause."""
    shop = Registry("shop")

    async def stop() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            fail("while cancelled")

    part(shop, "jobs", stop=stop, stop_timeout=1)

    lived = life.live(shop, asked)

    assert [("jobs", "stop", 1)] == errors(lived)
    assert lived.error is not None
    assert isinstance(lived.error.__cause__, ValueError)


@pytest.mark.rule("D8")
def test_a_stop_that_ends_well_in_its_last_moment(life: Life) -> None:
    """It was cancelled, and says so; that it came to its end does not make it clean."""
    shop = Registry("shop")

    async def stop() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(1.25)

    part(shop, "jobs", stop=stop, stop_timeout=1)

    lived = life.live(shop, asked)

    assert [("jobs", "stop", 1)] == errors(lived) or [("jobs", "stop", 1.25)] == errors(lived)
    assert lived.report is not None
    assert () == lived.report.abandoned


@pytest.mark.rule("T1", "T2")
def test_all_time_is_that_of_the_loop(life: Life) -> None:
    """A day passes in no time, in hooks, delays and deadlines alike, and all durations say so."""
    day = 86_400.0
    shop = Registry("shop")
    part(shop, "jobs", start=day, drain=day, stop=day, start_timeout=2 * day, stop_timeout=2 * day)

    settings = Settings(grace_period=9 * day, drain_delay=day)
    lived = life.live(shop, asked, settings, observers=[life.observe])

    assert ("clean", 0, []) == summary(lived)
    assert (day, day) == took(lived, "jobs")
    assert 4 * day == closed_at(life)
    assert lived.report is not None
    assert 4 * day == lived.report.duration
