"""A second interrupt: no drains any more, stops under a short deadline."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Registry, Settings, running, signals
from lifecycle.errors import ClosedError, DrainTimeoutError, WorkCancelledError, one_line
from tests.engine.kit import Life
from tests.engine.parts import companion, end, forever, ignoring, part, unwinding

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle import Report, System

GRACE = Settings(grace_period=30, close_reserve=10, drain_delay=5, stop_timeout=20)


def interrupted(
    life: Life, shop: Registry, *times: float, companions: Any = (), body: Any = None
) -> Report:
    """Run a system that is interrupted at these times; returns the report."""
    reports: list[Report | None] = []

    async def interrupt() -> None:
        for at in times:
            await anyio.sleep(at - life.now())
            signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        with signals.handling([signal.SIGINT]) as handling:
            async with anyio.create_task_group() as group:
                group.start_soon(interrupt)
                try:
                    async with running(
                        shop,
                        GRACE,
                        companions=[attached(handling), *companions],
                        observers=[life.observe],
                    ) as system:
                        await (system.closed() if body is None else body(system))
                    reports.append(system.report)
                except Exception as error:  # noqa: BLE001  whatever it is, it has the report
                    reports.append(getattr(error, "report", None))

    life.run(main)
    (report,) = reports
    assert report is not None
    return report


def attached(handling: signals.Handling) -> Any:
    """Attach the system from the very beginning: a companion."""

    class Attached:
        def __init__(self, system: Any) -> None:
            handling.attach(system)

        async def __aenter__(self) -> None:
            """Enter."""

        async def __aexit__(self, *args: object) -> None:
            """Leave."""

    return Attached


def test_one_interrupt_is_fast(life: Life) -> None:
    """No delay; everything is drained and stopped."""
    shop = Registry("shop")
    part(shop, "database", drain=3, stop=1)

    report = interrupted(life, shop, 1)

    assert ["1 = draining", "1 database drains", "4 database drained"] == end(life)[:3]
    assert ("clean", 0, "received SIGINT") == (
        str(report.outcome),
        report.exit_code,
        report.reason,
    )


def test_two_are_immediate(life: Life) -> None:
    """Drains are cut off and no more are begun; stops have 2 s together."""
    shop = Registry("shop")
    database = part(shop, "database", drain=3, stop=0.5)
    cache = part(shop, "cache", drain=3, stop=forever, requires=database)
    part(shop, "jobs", drain=10, stop=0.5, requires=cache)

    report = interrupted(life, shop, 1, 2)

    assert [
        "1 = draining",
        "1 jobs drains",
        "2 jobs drained",
        "2 = closing",
        "2 jobs stops",
        "2.5 jobs stopped",
        "2.5 cache stops",
        "3.25 cache stopped",
        "3.25 database stops",
        "3.75 database stopped",
    ] == [line for line in end(life) if "companion" not in line][:10]
    assert ("forced", 130) == (str(report.outcome), report.exit_code)
    assert "3.75 closed: forced, 130" == end(life)[-1]


@pytest.mark.rule("D7")
def test_a_stop_that_hangs_leaves_the_last_second_to_what_follows(life: Life) -> None:
    """Also where it hung already: that is when people press Ctrl-C once more."""
    shop = Registry("shop")
    database = part(shop, "database", stop=0.5)
    part(shop, "cache", stop=forever, requires=database)

    interrupted(life, shop, 1, 2)

    assert [
        "1 cache stops",
        "3 cache stopped",
        "3 database stops",
        "3.5 database stopped",
    ] == [line for line in end(life) if " stop" in line and "companion" not in line]


@pytest.mark.rule("D8")
def test_many_that_ignore_the_end_are_all_called_in_time(life: Life) -> None:
    """Each has less time to obey then: before the process is ended, the account is complete."""
    shop = Registry("shop")
    before = part(shop, "part-0", stop=ignoring(100))
    for number in range(1, 60):
        before = part(shop, f"part-{number}", stop=ignoring(100), requires=before)

    report = interrupted(life, shop, 1, 2)

    assert 60 == len(report.abandoned)
    at = float(end(life)[-1].partition(" ")[0])
    assert at <= 2 + 2 + 0.5 + 0.25  # after the second; the watchdog comes a quarter later


def test_two_out_of_a_start(life: Life) -> None:
    """What is starting is cancelled, what was ready is stopped without a drain."""
    shop = Registry("shop")
    database = part(shop, "database", drain=3, stop=0.5)
    part(shop, "jobs", start=forever, requires=database)

    report = interrupted(life, shop, 1, 1.5)

    assert "database.drain" not in life.words
    assert ("forced", 130) == (str(report.outcome), report.exit_code)


def test_duplicates_are_one(life: Life) -> None:
    """Process groups and terminals deliver the same interrupt more than once."""
    shop = Registry("shop")
    part(shop, "database", drain=3, stop=0.5)

    report = interrupted(life, shop, 1, 1.05)

    assert "clean" == report.outcome
    assert "4.5 closed: clean, 0" == end(life)[-1]


def test_work_is_cut_off(life: Life) -> None:
    """What is in flight is cancelled, counted and told, as at the end of a drain."""
    shop = Registry("shop")
    jobs = part(shop, "jobs", drain=1)

    async def body(system: Any) -> None:
        with pytest.raises(WorkCancelledError), system.hold("job", component=jobs):
            await anyio.sleep_forever()
        with pytest.raises(ClosedError), system.hold("another"):
            pass

    report = interrupted(life, shop, 1, 2, body=body)

    assert "job" in [work.what for work in report.in_flight]
    assert ("forced", 130) == (str(report.outcome), report.exit_code)
    assert "2 closed: forced, 130" == end(life)[-1]


def test_it_ends_in_time_whatever_ignores_it(life: Life) -> None:
    """It is over half a second after the 2 s that the stops have: before the watchdog ends it."""
    shop = Registry("shop")
    database = part(shop, "database", drain=ignoring(50), stop=ignoring(50))
    part(shop, "jobs", drain=ignoring(50), stop=ignoring(50), requires=database)
    part(shop, "late", start=ignoring(50), start_timeout=0.5, optional=True, requires=database)

    report = interrupted(life, shop, 1, 2, companions=[companion(life, stop=ignoring(50))])

    closed = next(line for line in life.log if "closed:" in line)
    assert float(closed.split()[0]) <= 2 + 2 + 0.5
    assert ("forced", 130) == (str(report.outcome), report.exit_code)
    assert {"database", "jobs", "late"} <= {one.component for one in report.abandoned}


@pytest.mark.parametrize("second", [4.5, 6.5], ids=["drain", "close"])
def test_the_second_one_late(life: Life, second: float) -> None:
    """It cuts short whatever is under way."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1, stop=5)
    part(shop, "jobs", drain=4, stop=15, requires=database)

    report = interrupted(life, shop, 1, second)

    closed = next(line for line in life.log if "closed:" in line)
    assert float(closed.split()[0]) <= second + 2.5
    assert ("forced", 130) == (str(report.outcome), report.exit_code)


def test_a_stop_knows_what_is_left(life: Life) -> None:
    """The hook's `time_left` shrinks with the deadline."""
    shop = Registry("shop")
    left: list[float] = []

    async def stop() -> None:
        left.append(Lifetime.current().time_left)
        await anyio.sleep(1)
        left.append(Lifetime.current().time_left)
        await anyio.sleep(0.5)

    part(shop, "jobs", stop=stop)

    interrupted(life, shop, 1, 1.5)

    assert [20, 1.5] == left


def test_a_drain_that_was_cut_short_is_told_as_such(life: Life) -> None:
    """Nobody is to look for a timeout of half a second; hooks are cut off that much later."""
    shop = Registry("shop")

    @shop.service(drain_timeout=8)
    async def orders(life_: Lifetime) -> None:
        life_.started()
        with life_.hold("order 7"):
            await anyio.sleep_forever()

    part(shop, "jobs", drain=anyio.sleep_forever, drain_timeout=8)

    report = interrupted(life, shop, 1, 1.5)

    told = {str(error) for error in report.errors if isinstance(error, DrainTimeoutError)}
    assert {
        (
            "'orders' still had 1 piece of work in flight when a second interrupt ended its drain, "
            "after 0.5 s; it was cancelled: 'order 7'"
        ),
        (
            "'jobs' had not drained when a second interrupt ended its drain, after 1 s; its "
            "drain was cancelled"
        ),
    } == told


def time_of_a_stop(life: Life, interrupt: Callable[[System], object]) -> float:
    """Interrupt a system that runs; how much time its stop has then."""
    shop = Registry("shop")
    left: list[float] = []

    async def stop() -> None:
        left.append(Lifetime.current().time_left)

    async def body(system: System) -> None:
        interrupt(system)
        await system.closed()

    part(shop, "jobs", stop=stop)
    lived = life.live(shop, body, GRACE)

    assert lived.report is not None
    assert "forced" == str(lived.report.outcome)
    return left[0]


def test_a_blocked_loop_uses_up_that_time() -> None:
    """It is counted from the signal, as the end of the process is, and not from when it is seen."""

    def interrupt(system: System) -> None:
        system.signal(signal.SIGINT, ago=1)
        system.signal(signal.SIGINT)
        time.sleep(0.3)  # blocks on purpose: the loop does not come to it

    # Its clock counts milliseconds, and stands still in between; 2 is what it is to differ from.
    assert time_of_a_stop(Life("uvloop"), interrupt) < 1.75


def test_what_was_interrupted_before_it_was_there_has_that_time(life: Life) -> None:
    """Interrupts are kept for a system that is still being imported, and it can do nothing then."""

    def interrupt(system: System) -> None:
        system.signal(signal.SIGINT, ago=5)
        system.signal(signal.SIGINT, ago=4)

    assert 2 == time_of_a_stop(life, interrupt)


@pytest.mark.rule("R2")
def test_a_service_that_was_not_asked_yet(life: Life) -> None:
    """It is told that it is to end, and sits out nobody's time."""
    shop = Registry("shop")

    @shop.service
    async def listener(lifetime: Lifetime) -> None:
        lifetime.started()
        while await lifetime.sleep(30):
            life.note("woke")
        life.note("listener ends")

    part(shop, "web", drain=forever, after=[listener])

    report = interrupted(life, shop, 1, 1.5)

    assert "1.5 listener ends" in life.log
    assert [] == [one_line(error) for error in report.errors if "listener" in str(error)]
    assert ("forced", 130) == (str(report.outcome), report.exit_code)


def test_it_cuts_short_a_drain_that_came_with_the_stop(life: Life) -> None:
    """Whose time for that was over before it was asked; its stop has what is left."""
    shop = Registry("shop")
    left: list[float] = []

    async def stop() -> None:
        left.append(Lifetime.current().time_left)
        life.note("database stops")

    database = part(shop, "database", drain=forever, stop=stop)

    @shop.component(requires=[database], start_timeout=100)
    async def jobs() -> None:
        await unwinding(20)()

    report = interrupted(life, shop, 1, 22)

    assert "22 database stops" in life.log
    assert [2] == left
    (told,) = [str(error) for error in report.errors if isinstance(error, DrainTimeoutError)]
    assert told == (
        "'database' had not drained when a second interrupt ended its drain, after 1 s; its drain "
        "was cancelled"
    )
