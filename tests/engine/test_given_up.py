"""What is told of a start that is given up: why that was is no error of its own."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from lifecycle import Lifetime, Outcome, Registry, Settings, System, running
from lifecycle.errors import ClosedError, StartError, StartTimeoutError, StopError
from lifecycle.instruments import Instrument, instrumented
from tests.engine.parts import part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from lifecycle import Component
    from lifecycle.instruments import HookCall
    from tests.engine.kit import Life


async def ready(life: Lifetime, slow: Component[Any]) -> None:
    """Wait by the system."""
    await life.system.ready(slow)


async def at_the_gate(life: Lifetime, slow: Component[Any]) -> None:
    """Wait at the gate."""
    await life.system.gate(slow).wait()


async def in_a_group(life: Lifetime, slow: Component[Any]) -> None:
    """Wait in a task of its own."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(life.system.ready, slow)


async def in_a_thread(life: Lifetime, slow: Component[Any]) -> None:
    """Wait in a thread."""
    await anyio.to_thread.run_sync(life.system.gate(slow).wait_in_thread)


WAITS = pytest.mark.parametrize("wait", [ready, at_the_gate, in_a_group, in_a_thread])


def waiting(
    shop: Registry, wait: Callable[[Lifetime, Any], Awaitable[None]], **options: Any
) -> None:
    """Declare what waits, in its start, for a part that takes a hundred seconds."""
    slow = part(shop, "slow", start=100)

    @shop.component(**options)
    async def web(life: Lifetime) -> AsyncIterator[None]:
        await wait(life, slow)
        yield


@WAITS
@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.rule("S6")
def test_a_shutdown_while_a_start_waits_for_another(
    life: Life, wait: Any, *, optional: bool
) -> None:
    """It is clean: that what was waited for will never be ready is known."""
    shop = Registry("shop")
    waiting(shop, wait, optional=optional)

    @shop.component
    async def ender(life: Lifetime) -> None:
        await anyio.sleep(1)
        life.system.shut_down("a deploy")

    lived = life.live(shop)

    assert isinstance(lived.error, ClosedError)
    assert [] == lived.errors
    assert lived.report is not None
    assert Outcome.CLEAN is lived.report.outcome


@WAITS
@pytest.mark.rule("S5")
def test_a_failure_while_a_start_waits_for_another(life: Life, wait: Any) -> None:
    """One error is told: the one that there was."""
    shop = Registry("shop")
    waiting(shop, wait)

    @shop.component
    async def broken() -> None:
        await anyio.sleep(1)
        message = "no disk"
        raise OSError(message)

    lived = life.live(shop)

    assert ["StartError: 'broken' did not start: OSError: no disk"] == lived.errors


@WAITS
@pytest.mark.rule("S3")
def test_a_timeout_while_a_start_waits_for_another(life: Life, wait: Any) -> None:
    """It is not said to come of its own consequence."""
    shop = Registry("shop")
    waiting(shop, wait, start_timeout=2)

    lived = life.live(shop)

    assert isinstance(lived.error, StartTimeoutError)
    assert lived.error.__cause__ is None


@pytest.mark.rule("D4")
def test_work_of_a_start_that_has_timed_out(life: Life) -> None:
    """It was cut off with that, and is not said to have met a crash."""
    shop = Registry("shop")

    @shop.component(start_timeout=2)
    async def web(life: Lifetime) -> None:
        with life.hold("warming up"):
            await anyio.sleep(100)

    lived = life.live(shop)

    assert [
        "StartTimeoutError: 'web' was not ready after 2 s: it is still starting",
        (
            "WorkCancelledError: 'warming up' of 'web' was cut off: it was cancelled while the "
            "system shut down"
        ),
    ] == lived.errors


@pytest.mark.rule("S6")
def test_an_optional_start_that_fails_as_it_is_given_up(life: Life) -> None:
    """It concerns nobody else: it stands in the report of the component, and there alone."""
    shop = Registry("shop")

    @shop.component(optional=True)
    async def cache() -> None:
        try:
            await anyio.sleep(100)
        finally:
            message = "no such host"
            raise OSError(message)

    @shop.component
    async def ender(life: Lifetime) -> None:
        await anyio.sleep(1)
        life.system.shut_down("a deploy")

    lived = life.live(shop)

    assert isinstance(lived.error, ClosedError)
    assert lived.report is not None
    assert (Outcome.CLEAN, ()) == (lived.report.outcome, lived.report.errors)
    own = lived.report.components["cache"].error
    assert isinstance(own, StopError)
    assert "start" == own.hook


@pytest.mark.rule("S6")
@pytest.mark.parametrize("round_", range(10))
def test_a_shutdown_that_a_start_asks_for_in_its_thread(life: Life, round_: int) -> None:
    """It comes before the end of that start, in whichever order the loop learns of the two."""
    shop = Registry("shop")

    @shop.component
    def database(life: Lifetime) -> Iterator[int]:
        life.system.shut_down(f"no {round_}")
        yield 1

    async def body(_: object) -> None:
        life.note("the body runs")

    lived = life.live(shop, body)

    assert isinstance(lived.error, ClosedError)
    assert [] == life.words
    assert lived.report is not None
    assert "stopped" == lived.report.components["database"].state


@pytest.mark.rule("S1")
def test_a_check_that_fails_as_a_request_cuts_it_off(life: Life) -> None:
    """It is no preflight failure: it was not let come to an end."""
    shop = Registry("shop")

    @shop.preflight
    async def reachable() -> None:
        try:
            await anyio.sleep(100)
        finally:
            message = "cut off in the middle"
            raise OSError(message)

    systems: list[System] = []

    @asynccontextmanager
    async def companion(system: System) -> AsyncIterator[None]:
        systems.append(system)
        yield

    @shop.preflight
    async def ender() -> None:
        await anyio.sleep(1)
        systems[0].shut_down("a deploy")

    lived = life.live(shop, companions=[companion])

    assert isinstance(lived.error, ClosedError)
    assert lived.report is not None
    assert (Outcome.CLEAN, ()) == (lived.report.outcome, lived.report.errors)


@pytest.mark.rule("D8", "S1")
def test_a_check_that_goes_on_after_it_was_cut_off(life: Life) -> None:
    """It is abandoned half a second later, and holds up neither the end nor the report."""
    shop = Registry("shop")
    systems: list[System] = []

    @asynccontextmanager
    async def companion(system: System) -> AsyncIterator[None]:
        systems.append(system)
        yield
        life.note("the companion ends")

    @shop.preflight
    async def deaf() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(100)

    @shop.preflight
    async def ender() -> None:
        await anyio.sleep(1)
        systems[0].shut_down("a deploy")

    lived = life.live(shop, companions=[companion], observers=[life.observe])

    assert "1.5 the companion ends" in life.log
    assert any(line.startswith("1.5 closed: incomplete, 75") for line in life.log)
    assert lived.report is not None
    (left,) = lived.report.abandoned
    assert ("deaf", "check") == (left.component, left.hook)
    assert "await anyio.sleep(100)" in left.stack


class Migration:
    """A check that has to roll back when it is cut off."""

    unwinds_in = 3.5

    def __init__(self, life: Life, takes: float) -> None:
        self._life = life
        self._takes = takes

    async def __call__(self) -> None:
        """Migrate, for ever."""
        try:
            await anyio.sleep(math.inf)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self._takes)
                self._life.note("rolled back")


@pytest.mark.rule("S1")
@pytest.mark.parametrize(
    ("takes", "signals", "grace_period", "ends"),
    [
        (2, 1, 25, ["3 rolled back", "3 closed: clean, 0"]),
        (100, 1, 25, ["4.5 closed: incomplete, 75", "101 rolled back"]),
        (2, 1, 1.5, ["2.35 closed: incomplete, 75", "3 rolled back"]),
        (3, 3, 25, ["3.1 closed: forced, 130", "4 rolled back"]),
    ],
)
def test_a_check_says_how_long_it_takes_to_end(
    life: Life, takes: float, signals: int, grace_period: float, ends: list[str]
) -> None:
    """Not abandoned before; but at the end of the grace period, or of what a second one leaves."""
    shop = Registry("shop")
    shop.preflight(Migration(life, takes))

    @asynccontextmanager
    async def companion(system: System) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(interrupt, system)
            yield
            group.cancel_scope.cancel()

    async def interrupt(system: System) -> None:
        await anyio.sleep(1)
        for _ in range(signals):
            system.signal(signal.SIGINT)
            await anyio.sleep(0.1)

    settings = Settings(grace_period=grace_period)
    life.live(shop, settings=settings, companions=[companion], observers=[life.observe])

    said = [line for line in life.log if line.endswith("rolled back") or " closed: " in line]
    assert ends == [line.partition(": Stop")[0] for line in said]


class Broken(Instrument):
    """Fails behind a start that has gone well."""

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Proceed, and fail."""
        result = await proceed()
        if call.hook == "start":
            message = "no exporter"
            raise OSError(message)
        return result


@pytest.mark.rule("S4")
@pytest.mark.parametrize("kind", ["async", "sync", "manager", "again"])
def test_a_start_that_went_well_is_not_lost_when_something_else_fails(
    life: Life, kind: str
) -> None:
    """An instrument, say: the start has failed, and what it has opened is closed, in its thread."""
    shop = Registry("shop")
    threads: list[int] = []

    async def opening() -> AsyncIterator[int]:
        life.note("opened")
        try:
            yield 1
        finally:
            life.note("closed")

    def opening_in_thread() -> Iterator[int]:
        threads.append(threading.get_ident())
        life.note("opened")
        try:
            yield 1
        finally:
            threads.append(threading.get_ident())
            life.note("closed")

    if kind == "sync":
        shop.component(opening_in_thread, name="database")
    elif kind == "manager":
        shop.add(contextmanager(opening_in_thread)(), name="database")
    else:
        shop.component(opening, name="database", retry=1 if kind == "again" else None)

    with instrumented(Broken()):
        lived = life.live(shop)

    assert isinstance(lived.error, StartError)
    assert str(lived.error.__cause__) == "no exporter"
    assert ["opened", "closed"] * (2 if kind == "again" else 1) == life.words
    assert len(set(threads)) <= 1


@pytest.mark.rule("S4")
def test_a_native_cancellation_while_a_start_is_in_its_thread() -> None:
    """That of a loop that is torn down: what the thread opens all the same is closed."""
    log: list[str] = []
    opening, go_on = threading.Event(), threading.Event()
    shop = Registry("shop")

    @shop.component
    def database() -> Iterator[int]:
        opening.set()
        go_on.wait(60)
        log.append("opened")
        try:
            yield 1
        finally:
            log.append("closed")

    async def main() -> None:
        left = asyncio.ensure_future(one())  # to the teardown of the loop
        await asyncio.to_thread(opening.wait, 60)
        asyncio.get_running_loop().call_soon(go_on.set)
        assert not left.done()

    async def one() -> None:
        async with running(shop):
            pass

    asyncio.run(main())

    assert ["opened", "closed"] == log


@pytest.mark.rule("D8")
def test_what_is_said_of_what_was_left_behind(life: Life) -> None:
    """When it was cancelled, not when it was given up; a stop that was not called did not hang."""
    shop = Registry("shop")

    async def deaf(seconds: float) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(seconds)

    class Jobs:
        async def start(self) -> None:
            pass

        async def drain(self) -> None:
            await deaf(100)

        async def stop(self) -> None:
            pass

    jobs = shop.add(Jobs(), name="jobs", drain_timeout=3, stop_timeout=2)

    @jobs.check
    async def works(_: Jobs) -> None:
        await deaf(200)

    @asynccontextmanager
    async def exporter(system: System) -> AsyncIterator[None]:
        yield
        await deaf(300)

    async def body(system: System) -> None:
        await system.check()

    errors = life.live(shop, body, companions=[exporter]).errors
    ignored = "and was cancelled; it ignored that and was abandoned"
    cut = "its 3 s to drain ran out; its drain was cancelled"
    left = "its drain hook still ran"
    assert [
        f"StopError: the check hook of 'jobs' had not ended after 0.8 s {ignored}",
        f"DrainTimeoutError: 'jobs' had not drained when {cut}",
        f"StopError: the drain hook of 'jobs' had not ended after 3 s {ignored}",
        f"StopError: the stop hook of 'jobs' could not be called within 2 s: {left}",
        f"StopError: the stop hook of 'exporter' had not ended after 1 s {ignored}",
    ] == errors
