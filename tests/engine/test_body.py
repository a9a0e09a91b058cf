from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import anyio
import pytest
import trio

from lifecycle import Outcome, Registry, Settings, System, requires, running
from lifecycle.errors import CrashedError, DrainTimeoutError, StopError
from tests.engine.kit import Life, Noted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class OopsError(Exception):
    pass


def crash_after(shop: Registry, seconds: float) -> None:
    """Declare a service that crashes."""

    async def crashing() -> None:
        await anyio.sleep(seconds)
        message = "crash"
        raise OSError(message)

    shop.service(crashing)


@pytest.mark.rule("R4")
def test_the_end_of_the_body_is_a_request_without_delay(life: Life) -> None:
    """Whoever leaves the `async with` does not wait for a delay that serves nobody."""
    shop = Registry("shop")
    shop.add(Noted(life, "web", takes=1), name="web")
    lived = life.live(shop, settings=Settings(drain_delay=5))
    assert ["0 web.start", "1 web.drain", "2 web.stop"] == life.log
    assert lived.report is not None
    assert "the body has ended" == lived.report.reason


@pytest.mark.rule("R4")
def test_the_body_is_work_in_flight(life: Life) -> None:
    """Asked to shut down, the system waits for the body before anything is stopped."""
    shop = Registry("shop")
    shop.add(Noted(life, "web", takes=1), name="web")

    async def body(system: System) -> None:
        system.shut_down()
        await system.wait_draining()
        life.note("body goes on")
        await anyio.sleep(7)
        life.note("body ends")

    lived = life.live(shop, body)
    assert {"1 web.drain", "1 body goes on"} == set(life.log[1:3])
    assert ["8 body ends", "8 web.stop"] == life.log[3:]
    assert lived.error is None


@pytest.mark.rule("R4")
def test_a_body_that_awaits_the_end_is_not_in_flight(life: Life) -> None:
    """`await system.closed()` is what a service that only waits writes."""
    shop = Registry("shop")
    shop.add(Noted(life, "web", takes=1), name="web")

    async def body(system: System) -> None:
        system.shut_down("enough")
        report = await system.closed()
        life.note("body goes on")
        assert report is system.report

    lived = life.live(shop, body)
    assert ["0 web.start", "1 web.drain", "2 web.stop", "3 body goes on"] == life.log
    assert lived.error is None


@pytest.mark.rule("R4")
def test_a_body_that_gives_up_awaiting_the_end(life: Life) -> None:
    """It is in flight again: its work is waited for as before."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def body(system: System) -> None:
        with anyio.move_on_after(3):
            await system.closed()
        system.shut_down()
        await anyio.sleep(4)
        life.note("body ends")

    lived = life.live(shop, body)
    assert ["0 web.start", "3 web.drain", "7 body ends", "7 web.stop"] == life.log
    assert lived.error is None


@pytest.mark.rule("R4")
def test_a_crash_cancels_the_body_as_in_a_task_group(life: Life) -> None:
    """The drain begins when the body has ended; `running` raises the crash."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    crash_after(shop, 1)

    async def body(system: System) -> None:
        try:
            await anyio.sleep(50)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3)
            life.note("body ends")

    lived = life.live(shop, body)
    assert ["0 web.start", "4 body ends", "4 web.drain", "4 web.stop"] == life.log
    assert isinstance(lived.error, CrashedError)
    assert lived.report is not None
    assert (Outcome.CRASHED, 70) == (lived.report.outcome, lived.report.exit_code)
    assert () == lived.report.in_flight


@pytest.mark.rule("R4")
def test_a_body_that_does_not_end_after_a_crash(life: Life) -> None:
    """The drain begins at most `stop_timeout` later; then the body has the time of the drain."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    crash_after(shop, 1)

    async def body(system: System) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(8)
        life.note("body ends")

    lived = life.live(shop, body, Settings(stop_timeout=4))
    assert ["0 web.start", "5 web.drain", "8 body ends", "8 web.stop"] == life.log
    assert isinstance(lived.error, CrashedError)


@pytest.mark.rule("R4")
def test_a_crash_while_the_body_awaits_the_end(life: Life) -> None:
    """It is not cancelled and gets its report; the crash is raised after it."""
    shop = Registry("shop")
    crash_after(shop, 1)

    async def body(system: System) -> None:
        report = await system.closed()
        life.note(f"body goes on: {report.outcome}")

    lived = life.live(shop, body)
    assert ["1 body goes on: crashed"] == life.log
    assert isinstance(lived.error, CrashedError)


@pytest.mark.rule("R4")
def test_at_the_deadline_of_the_drain_it_is_cancelled_and_counted(life: Life) -> None:
    """Work of the body that was cut off is an error: lost data is never silent."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def body(system: System) -> None:
        system.shut_down()
        try:
            await anyio.sleep(50)
        finally:
            life.note("body ends")

    lived = life.live(shop, body, Settings(grace_period=10, close_reserve=2))
    assert ["0 web.start", "0 web.drain", "7.5 body ends", "7.5 web.stop"] == life.log
    assert isinstance(lived.error, DrainTimeoutError)
    assert lived.report is not None
    assert Outcome.INCOMPLETE is lived.report.outcome
    assert 1 == len(lived.report.in_flight)


@pytest.mark.rule("R4")
def test_a_body_that_ignores_its_cancellation(life: Life) -> None:
    """It holds nothing up: the report is complete without it; `running` returns when it ends."""
    shop = Registry("shop")

    @shop.component
    async def web() -> AsyncIterator[None]:
        yield
        life.note("web stops")

    systems: list[System] = []

    async def body(system: System) -> None:
        systems.append(system)
        system.shut_down()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(50)
        assert system.report is not None
        life.note("body ends")

    lived = life.live(shop, body, Settings(grace_period=10, close_reserve=2))
    assert ["8 web stops", "50 body ends"] == life.log
    assert isinstance(lived.error, DrainTimeoutError)


@pytest.mark.uvloop
def test_an_exception_of_the_body_leaves_it_unwrapped(life: Life) -> None:
    """It is the very object; everything was stopped before."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    oops = OopsError()

    async def body(system: System) -> None:
        raise oops

    lived = life.live(shop, body)
    assert ["web.start", "web.drain", "web.stop"] == life.words
    assert lived.error is oops
    assert oops.__context__ is None
    assert lived.report is not None
    assert (Outcome.CLEAN, ()) == (lived.report.outcome, lived.report.errors)


@pytest.mark.uvloop
def test_an_exception_of_the_body_names_what_fails_after_it(life: Life) -> None:
    """What goes wrong in the shutdown is in its notes, and in the report."""
    shop = Registry("shop")

    @shop.component
    async def web() -> AsyncIterator[None]:
        yield
        message = "web"
        raise OSError(message)

    async def body(system: System) -> None:
        raise OopsError

    lived = life.live(shop, body)
    assert isinstance(lived.error, OopsError)
    assert lived.report is not None
    (error,) = lived.report.errors
    assert isinstance(error, StopError)
    assert any("web" in note for note in getattr(lived.error, "__notes__", []))


def test_an_exception_of_the_body_after_a_failure(life: Life) -> None:
    """The system had failed before: that is the first cause, and the body's stands in its notes."""
    shop = Registry("shop")
    crash_after(shop, 1)

    async def body(system: System) -> None:
        try:
            await anyio.sleep(50)
        finally:
            raise OopsError

    lived = life.live(shop, body)
    assert isinstance(lived.error, CrashedError)
    assert any("OopsError" in note for note in getattr(lived.error, "__notes__", []))


@pytest.mark.uvloop
def test_a_group_of_exceptions_of_the_body(life: Life) -> None:
    """What a task group in the body raises leaves as it is."""
    shop = Registry("shop")

    async def fail() -> None:
        raise OopsError

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)

    lived = life.live(shop, body)
    assert [OopsError] == [type(error) for error in getattr(lived.error, "exceptions", ())]


@pytest.mark.rule("D10")
def test_a_cancellation_from_outside_goes_on(life: Life) -> None:
    """It is a request; everything is drained and stopped, and then it goes on."""
    shop = Registry("shop")
    shop.add(Noted(life, "web", takes=2), name="web")

    async def main() -> None:
        with anyio.move_on_after(5) as scope:
            async with running(shop):
                await anyio.sleep(50)
            life.note("never")
        assert scope.cancelled_caught
        life.note("out")

    life.run(main)
    assert ["0 web.start", "5 web.drain", "7 web.stop", "9 out"] == life.log


@pytest.mark.rule("D10")
def test_a_cancellation_during_the_start(life: Life) -> None:
    """What was ready is stopped, what was starting unwinds, and it goes on."""
    shop = Registry("shop")
    web = shop.add(Noted(life, "web", takes=1), name="web")

    @shop.component
    async def slow(web: Noted = requires(web)) -> None:
        try:
            await anyio.sleep(50)
        finally:
            life.note("slow unwinds")

    async def main() -> None:
        with anyio.move_on_after(5) as scope:
            async with running(shop):
                life.note("never")
        assert scope.cancelled_caught
        life.note("out")

    life.run(main)
    assert ["0 web.start", "5 slow unwinds", "5 web.drain", "6 web.stop", "7 out"] == life.log


@pytest.mark.rule("D10")
def test_an_error_wins_over_a_cancellation(life: Life) -> None:
    """As in a task group."""
    shop = Registry("shop")

    @shop.component
    async def web() -> AsyncIterator[None]:
        yield
        raise OSError

    async def main() -> None:
        with anyio.move_on_after(5), pytest.raises(StopError):
            async with running(shop):
                await anyio.sleep(50)

    life.run(main)


@pytest.mark.uvloop
def test_a_return_out_of_the_body(life: Life) -> None:
    """A body may be left by `return`, `break` and `continue`."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def main() -> str:
        for _ in range(3):
            async with running(shop):
                break
        async with running(shop):
            return "returned"

    assert "returned" == life.run(main)
    assert ["web.start", "web.drain", "web.stop"] * 2 == life.words


@pytest.mark.uvloop
def test_systems_within_systems(life: Life) -> None:
    """A component may run a system of its own; each has its own components."""
    inner, outer = Registry("inner"), Registry("outer")
    core = inner.add(Noted(life, "core"), name="core")

    @outer.component
    async def nested() -> AsyncIterator[System]:
        async with running(inner) as system:
            yield system

    async def body(system: System) -> None:
        assert isinstance(system[nested][core], Noted)
        life.note("body")

    lived = life.live(outer, body)
    assert ["core.start", "body", "core.drain", "core.stop"] == life.words
    assert lived.error is None


def test_a_crash_in_a_system_within_a_system(life: Life) -> None:
    """The nested system's crash is the crash of the component that runs it."""
    inner, outer = Registry("inner"), Registry("outer")

    @inner.service
    async def core() -> None:
        await anyio.sleep(1)
        message = "core"
        raise OSError(message)

    @outer.component
    async def nested() -> AsyncIterator[System]:
        async with running(inner) as system:
            yield system

    async def body(system: System) -> None:
        await system.closed()

    lived = life.live(outer, body)
    assert isinstance(lived.error, CrashedError)
    assert "nested" == lived.error.component
    assert isinstance(lived.error.__cause__, CrashedError)
    assert "core" == lived.error.__cause__.component


@pytest.mark.rule("R4", "D5")
@pytest.mark.uvloop
def test_a_group_of_the_body_that_fails_as_it_is_cancelled(life: Life) -> None:
    """What is left of it is in the notes; everything is stopped, and the crash is raised."""
    shop = Registry("shop")
    shop.add(Noted(life, "database"), name="database")
    crash_after(shop, 0.1)

    async def flush() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise OopsError("flush")

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(flush)
            group.start_soon(anyio.sleep_forever)

    lived = life.live(shop, body)
    assert isinstance(lived.error, CrashedError)
    assert lived.error.report is lived.report
    assert any("in the body" in note for note in getattr(lived.error, "__notes__", []))
    assert ["database.start", "database.drain", "database.stop"] == life.words


@pytest.mark.rule("R4")
@pytest.mark.uvloop
def test_a_group_of_the_body_that_fails_as_it_is_cut_off(life: Life) -> None:
    """Its own error leaves the body, without the cancellation that was ours."""
    shop = Registry("shop")
    shop.add(Noted(life, "database"), name="database")

    async def flush() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise OopsError("flush")

    async def main() -> None:
        settings = Settings(drain_timeout=0.1)
        async with running(shop, settings) as system, anyio.create_task_group() as group:
            group.start_soon(flush)
            group.start_soon(anyio.sleep_forever)
            system.shut_down()

    with pytest.raises(DrainTimeoutError) as raised:
        life.run(main)
    assert any("in the body: " in note for note in getattr(raised.value, "__notes__", []))
    assert ["database.start", "database.drain", "database.stop"] == life.words


@pytest.mark.rule("R5", "K2")
def test_an_interrupt_while_the_end_is_waited_for(life: Life) -> None:
    """It is raised in the main task of trio, shielded or not; all is stopped before."""
    if life.backend != "trio":
        pytest.skip("asyncio cancels its main task instead")
    shop = Registry("shop")

    @trio.lowlevel.enable_ki_protection
    def interrupt(number: int) -> None:
        signal.raise_signal(number)

    @shop.component
    async def database() -> AsyncIterator[None]:
        yield
        interrupt(signal.SIGINT)
        await anyio.sleep(1)
        life.note("stopped")

    lived = life.live(shop)
    assert ["1 stopped"] == life.log
    assert type(lived.error) is KeyboardInterrupt
    assert lived.report is not None
    assert 130 == lived.report.exit_code
