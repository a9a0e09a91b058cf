"""What a shutdown does, in which order, and that it may be asked for at any time."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Outcome, Registry, Settings, System, requires, running
from lifecycle.errors import ClosedError, StopError
from tests.engine.parts import asked, end, fail, part, summary, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from tests.engine.kit import Life


def in_order(*lines: str) -> list[str]:
    """Sort what happens in the same instant: on trio its order is a matter of luck."""
    return sorted(lines, key=lambda line: (float(line.split()[0]), line))


@pytest.mark.rule("D3", "D4", "D5")
def test_a_whole_shutdown(life: Life) -> None:
    """Dependents drain first, all drain before any stops, dependents stop first, others at once."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1, stop=1)
    jobs = part(shop, "jobs", drain=2, stop=3, requires=database)
    part(shop, "mail", drain=4, stop=1, wants=database)
    part(shop, "web", drain=1, stop=1, after=jobs)
    part(shop, "alone", drain=1, stop=5)

    lived = life.live(shop, asked, observers=[life.observe])

    assert in_order(
        "0 = draining",
        "0 alone drains",
        "0 web drains",
        "0 mail drains",
        "1 alone drained",
        "1 web drained",
        "1 jobs drains",
        "3 jobs drained",
        "4 mail drained",
        "4 database drains",
        "5 database drained",
        "5 = closing",
        "5 alone stops",
        "5 web stops",
        "5 mail stops",
        "6 web stopped",
        "6 jobs stops",
        "6 mail stopped",
        "9 jobs stopped",
        "9 database stops",
        "10 alone stopped",
        "10 database stopped",
        "10 = closed",
        "10 closed: clean, 0",
    ) == in_order(*end(life))
    assert ("clean", 0, []) == summary(lived)


@pytest.mark.rule("D2")
def test_the_delay(life: Life) -> None:
    """Not ready at once, and everything works as before for the length of the delay."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1)

    async def body(system: System) -> None:
        assert system.status().ready
        system.shut_down("deploy")
        status = system.status()
        assert (False, "delaying", "deploy") == (status.ready, status.phase, status.reason)
        await anyio.sleep(4.9)
        assert system[database] == "database"
        assert not system.draining
        with system.hold("late"):
            await system.wait_draining()
        life.note("draining")
        await system.closed()

    life.live(shop, body, Settings(drain_delay=5), observers=[life.observe])

    assert [
        "0 = delaying",
        "5 = draining",
        "5 database drains",
        "5 draining",
        "6 database drained",
        "6 = closing",
        "6 database stops",
        "6 database stopped",
        "6 = closed",
        "6 closed: clean, 0",
    ] == end(life)


@pytest.mark.rule("D2", "R4")
def test_no_delay_where_the_body_has_ended(life: Life) -> None:
    """Only what asks from outside leaves time for traffic to move away."""
    shop = Registry("shop")
    part(shop, "database", drain=1)

    lived = life.live(shop, None, Settings(drain_delay=5), observers=[life.observe])

    assert "1 closed: clean, 0" == life.log[-1]
    assert lived.report is not None
    assert "the body has ended" == lived.report.reason


@pytest.mark.rule("D1", "D2")
def test_a_delay_is_ended_by_the_end_of_the_body(life: Life) -> None:
    """The second request decides no reason, and may only make it faster."""
    shop = Registry("shop")
    part(shop, "database", drain=1)

    async def body(system: System) -> None:
        system.shut_down("first")
        await anyio.sleep(2)
        system.shut_down("second")

    lived = life.live(shop, body, Settings(drain_delay=5), observers=[life.observe])

    assert "3 closed: clean, 0" == life.log[-1]
    assert lived.report is not None
    assert "first" == lived.report.reason


@pytest.mark.rule("D1")
def test_readiness_is_off_before_anything_else(life: Life) -> None:
    """Observers and the caller see it at once; in a thread too."""
    shop = Registry("shop")
    seen: list[object] = []

    async def body(system: System) -> None:
        shop_is_ready = system.status().ready

        def ask() -> None:
            system.shut_down("thread")
            seen.append((shop_is_ready, system.status().ready, system.status().reason))

        await life.in_thread(ask)
        await system.closed()

    life.live(shop, body)

    assert [(True, False, "thread")] == seen


@pytest.mark.rule("D6")
def test_hooks_that_fail(life: Life) -> None:
    """All others are called all the same; all errors are told, in order; the first is raised."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1, stop=1)
    jobs = part(shop, "jobs", drain=lambda: fail("d"), stop=lambda: fail("s"), requires=database)
    part(shop, "web", drain=1, stop=lambda: fail("w"), requires=jobs)

    lived = life.live(shop, asked, observers=[life.observe])

    assert ("incomplete", 75, ["StopError", "StopError", "StopError"]) == summary(lived)
    assert [
        "StopError: the drain hook of 'jobs' failed: ValueError: d",
        "StopError: the stop hook of 'web' failed: ValueError: w",
        "StopError: the stop hook of 'jobs' failed: ValueError: s",
    ] == lived.errors
    assert isinstance(lived.error, StopError)
    assert lived.error.report is lived.report
    assert lived.report is not None
    assert lived.error is lived.report.errors[0]
    assert isinstance(lived.error.__cause__, ValueError)
    assert [
        "also: StopError: the stop hook of 'web' failed: ValueError: w",
        "also: StopError: the stop hook of 'jobs' failed: ValueError: s",
    ] == getattr(lived.error, "__notes__", None)
    assert "3 database stopped" in life.log


@pytest.mark.rule("D6")
def test_an_error_is_told_where_it_ends(life: Life) -> None:
    """An event that ends a hook carries the error of that hook, and of no other."""
    shop = Registry("shop")
    part(shop, "jobs", drain=lambda: fail("d"), stop=0)
    part(shop, "web", drain=0, stop=lambda: fail("s"))

    life.live(shop, asked, observers=[life.observe])

    told = [word for word in life.words if "drained" in word or "stopped" in word]
    assert [
        "jobs drained: StopError: the drain hook of 'jobs' failed: ValueError: d",
        "jobs stopped",
        "web drained",
        "web stopped: StopError: the stop hook of 'web' failed: ValueError: s",
    ] == sorted(told)


@pytest.mark.rule("D6")
def test_sync_hooks_that_fail(life: Life) -> None:
    """The same for code that runs in a thread."""
    shop = Registry("shop")

    class Broken:
        def start(self) -> None:
            """Start."""

        def drain(self) -> None:
            message = "d"
            raise ValueError(message)

        def stop(self) -> None:
            message = "s"
            raise ValueError(message)

    shop.add(Broken(), name="broken")

    lived = life.live(shop, asked)

    assert [
        "StopError: the drain hook of 'broken' failed: ValueError: d",
        "StopError: the stop hook of 'broken' failed: ValueError: s",
    ] == lived.errors


def hook_system(life: Life, ask_in: str) -> Registry:
    """Declare a system in which one hook asks for a shutdown, twice."""
    shop = Registry("shop")

    def ask(hook: str) -> Callable[[], Any]:
        def do() -> None:
            if hook == ask_in:
                Lifetime.current().system.shut_down(f"from {hook}")
                Lifetime.current().system.shut_down("again", exit_code=4)

        return do

    database = part(shop, "database", start=1, stop=1)
    part(
        shop,
        "jobs",
        start=ask("start"),
        drain=ask("drain"),
        stop=ask("stop"),
        requires=database,
    )
    return shop


@pytest.mark.rule("D11")
@pytest.mark.parametrize("hook", ["drain", "stop"])
def test_asked_from_a_hook(life: Life, hook: str) -> None:
    """It changes nothing but the exit code, and is no error."""
    lived = life.live(hook_system(life, hook))

    assert lived.error is None
    assert lived.report is not None
    assert ("clean", 4) == (str(lived.report.outcome), lived.report.exit_code)
    assert "the body has ended" == lived.report.reason


@pytest.mark.rule("D11", "S6")
def test_asked_from_a_start_hook(life: Life) -> None:
    """What has started is stopped, the hook itself too, and there is no body to run."""
    lived = life.live(hook_system(life, "start"), observers=[life.observe])

    assert isinstance(lived.error, ClosedError)
    assert "from start" in str(lived.error)
    assert [
        "1 = draining",
        "1 database drains",
        "1 database drained",
        "1 = closing",
        "1 database stops",
        "2 database stopped",
        "2 = closed",
        "2 closed: clean, 4",
    ] == [line for line in end(life) if "jobs" not in line]


@pytest.mark.rule("S6", "D11")
def test_asked_during_the_start(life: Life) -> None:
    """The start is cancelled and rolled back, the outcome is clean, and `running` says why."""
    shop = Registry("shop")
    database = part(shop, "database", start=1, drain=1, stop=1)
    part(shop, "slow", start=10, requires=database)
    part(shop, "never", after="slow")

    async def main() -> tuple[object, str]:
        async with anyio.create_task_group() as group:
            system: list[System] = []

            async def ask() -> None:
                await anyio.sleep(3)
                system[0].shut_down("deploy")

            @shop.component(requires=database)
            def probe() -> None:
                system.append(Lifetime.current().system)

            group.start_soon(ask)
            try:
                async with running(shop, Settings(drain_delay=5), observers=[life.observe]):
                    pass
            except ClosedError as closed:
                return closed.report, closed.reason
        raise AssertionError

    report, reason = life.run(main)

    assert reason == "deploy"
    assert report is not None
    assert [
        "3 = draining",
        "3 slow started",  # which is to say: its start has ended, by a ClosedError
        "3 database drains",
        "4 database drained",
        "4 = closing",
        "4 database stops",
        "5 database stopped",
        "5 = closed",
        "5 closed: clean, 0",
    ] == [line for line in end(life) if "probe" not in line and "skipped" not in line]


@pytest.mark.rule("D11")
@pytest.mark.uvloop
def test_asked_after_the_end(life: Life) -> None:
    """It is no error, and changes nothing; from another thread likewise."""
    shop = Registry("shop")
    part(shop, "database")
    lived = life.live(shop, asked)
    assert lived.system is not None

    lived.system.shut_down("late", exit_code=3)

    assert lived.report is lived.system.report
    assert lived.report is not None
    assert ("asked", 0) == (lived.report.reason, lived.report.exit_code)
    assert 0 == lived.system.status().exit_code


@pytest.mark.rule("D11")
@pytest.mark.uvloop
def test_closed_may_be_awaited_after_the_end(life: Life) -> None:
    """It gives the report, as often as one likes."""
    shop = Registry("shop")

    async def main() -> None:
        async with running(shop) as system:
            pass
        assert system.report is await system.closed()
        assert Outcome.CLEAN is (await system.closed()).outcome

    life.run(main)


@pytest.mark.rule("D11")
@pytest.mark.parametrize("code", [-1, 256, True])
def test_a_code_that_is_none(life: Life, code: int) -> None:
    """An exit code is from 0 to 255; what is not asks for nothing."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        with pytest.raises(ValueError, match="from 0 to 255"):
            system.shut_down(exit_code=code)
        assert system.status().ready

    assert life.live(shop, body).error is None


@pytest.mark.rule("D11")
def test_the_first_code_counts(life: Life) -> None:
    """Of several exit codes the first that is not 0 is that of the report."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        system.shut_down("a")
        system.shut_down("b", exit_code=3)
        system.shut_down("c", exit_code=4)

    lived = life.live(shop, body)

    assert lived.error is None
    assert ("clean", 3, []) == summary(lived)


@pytest.mark.rule("D11")
def test_asked_by_an_observer(life: Life) -> None:
    """Observers are told in the middle of things; asking there is as good as anywhere."""
    shop = Registry("shop")
    part(shop, "database", drain=1)
    part(shop, "web", drain=1, requires="database")
    systems: list[System] = []

    @shop.component
    def probe() -> None:
        systems.append(Lifetime.current().system)

    def ask(event: object) -> None:
        if systems:
            systems[0].shut_down("an observer")

    lived = life.live(shop, observers=[ask, life.observe])

    assert isinstance(lived.error, ClosedError)
    assert "an observer" in str(lived.error)
    assert life.words[-1] == "closed: clean, 0"


@pytest.mark.rule("B1", "D3")
def test_gates_stay_open_for_those_that_drain(life: Life) -> None:
    """What is used is there until the last of those that use it has stopped."""
    shop = Registry("shop")
    seen: list[str] = []

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "rows"

    @shop.component
    async def jobs(database: str = requires(database)) -> AsyncIterator[str]:
        yield "jobs"
        seen.append(f"stop: {Lifetime.current().system.get(handle, 'gone')}")

    handle = database

    @jobs.drain
    async def _(value: str) -> None:
        seen.append(f"drain: {Lifetime.current().system[handle]}")

    async def body(system: System) -> None:
        await asked(system)
        with pytest.raises(ClosedError):
            system[handle]
        assert system.get(handle) is None

    assert life.live(shop, body).error is None
    assert ["drain: rows", "stop: rows"] == seen


@pytest.mark.rule("D3")
def test_wait_draining_and_until_draining(life: Life) -> None:
    """Streams end when the drain begins, between two items."""
    shop = Registry("shop")

    async def ticks() -> AsyncGenerator[int, None]:
        for number in range(100):
            await anyio.sleep(1)
            yield number

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ask_at, 2.5, system)
            async with aclosing(ticks()) as source:
                async for number in system.until_draining(source):
                    await anyio.sleep(0.25)
                    life.note(f"item {number}")
        assert system.draining
        life.note("end")

    async def ask_at(seconds: float, system: System) -> None:
        await anyio.sleep(seconds)
        system.shut_down("asked")

    life.live(shop, body)

    assert ["1.25 item 0", "2.5 item 1", "2.5 end"] == life.log


@pytest.mark.rule("D5")
def test_values_and_what_has_no_stop_take_no_time(life: Life) -> None:
    """They pass in order all the same, and are told of."""
    shop = Registry("shop")
    config = shop.value(3, name="config")
    double = config.map(lambda value: value * 2)
    part(shop, "database", stop=1, requires=double)

    life.live(shop, waiting_for_nothing, observers=[life.observe])

    names = [line for line in end(life) if "stopped" in line]
    assert ["1 database stopped", f"1 {double.name} stopped", "1 config stopped"] == names


async def waiting_for_nothing(system: System) -> None:
    """Ask, and do not wait."""
    system.shut_down("asked")


@pytest.mark.rule("D5")
def test_a_service_that_shuts_down_when_it_returns(life: Life) -> None:
    """``on_return="shut_down"`` is a request like any other, with the delay."""
    shop = Registry("shop")

    @shop.service(on_return="shut_down")
    async def once(life_: Lifetime) -> None:
        life_.started()
        await anyio.sleep(1)

    lived = life.live(shop, waiting, Settings(drain_delay=2), observers=[life.observe])

    assert lived.error is None
    assert ["1 = delaying", "3 = draining"] == end(life)[:2]
    assert life.log[-1] == "3 closed: clean, 0"
