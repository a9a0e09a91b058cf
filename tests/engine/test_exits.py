from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from lifecycle import Lifetime, Outcome, Registry, Settings, System
from lifecycle.errors import ClosedError, PreflightError
from tests.engine.kit import Life, Lived, Noted


def outcome(lived: Lived) -> tuple[Outcome, int]:
    assert lived.report is not None
    return lived.report.outcome, lived.report.exit_code


async def wait(system: System) -> None:
    await system.closed()


class Spy:
    """A companion that keeps the system, for when the body is not reached."""

    def __init__(self, system: System) -> None:
        SPIED.append(system)

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *args: object) -> None: ...


SPIED: list[System] = []


@pytest.mark.rule("R5")
@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("hook", ["start", "drain", "stop"])
def test_system_exit_in_a_hook_is_a_request_with_a_code(
    life: Life, hook: str, *, sync: bool
) -> None:
    """It is caught there, everything is stopped in order, and its code is the exit code."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    if sync:

        @shop.component(name="leaving", requires=database)
        def leaving_sync() -> Iterator[None]:
            if hook == "start":
                raise SystemExit(4)
            yield
            if hook == "stop":
                raise SystemExit(4)

        leaving = leaving_sync
    else:

        @shop.component(name="leaving", requires=database)
        async def leaving_async() -> AsyncIterator[None]:
            if hook == "start":
                raise SystemExit(4)
            yield
            if hook == "stop":
                raise SystemExit(4)

        leaving = leaving_async

    if hook == "drain":

        @leaving.drain
        async def _(_: None) -> None:
            raise SystemExit(4)

    lived = life.live(shop, companions=[Spy])
    report = SPIED.pop().report
    assert report is not None
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert (Outcome.CLEAN, 4, ()) == (report.outcome, report.exit_code, report.errors)
    if hook == "start":
        assert isinstance(lived.error, ClosedError)
    else:
        assert lived.error is None


@pytest.mark.rule("R5")
@pytest.mark.uvloop
def test_system_exit_in_a_service(life: Life) -> None:
    """A service may end the program so, and the others are stopped in order."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")
    running = anyio.Event()

    @shop.service(requires=database)
    async def orders() -> None:
        await running.wait()
        raise SystemExit(5)

    async def body(system: System) -> None:
        running.set()
        await system.closed()

    lived = life.live(shop, body)
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert lived.error is None
    assert (Outcome.CLEAN, 5) == outcome(lived)


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize(
    ("code", "expected"), [(None, 0), (0, 0), (255, 255), (256, 1), ("a message", 1), (-1, 1)]
)
def test_the_code_of_a_system_exit(life: Life, code: Any, expected: int) -> None:
    """It is what Python would make of it, where that is possible."""
    shop = Registry("shop")
    running = anyio.Event()

    @shop.service
    async def orders() -> None:
        await running.wait()
        raise SystemExit(code)

    async def body(system: System) -> None:
        running.set()
        await system.closed()

    assert expected == outcome(life.live(shop, body))[1]


@pytest.mark.rule("R5")
def test_system_exit_has_the_drain_delay(life: Life) -> None:
    """It means `shut_down(exit_code=n)`, and that has a delay."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    @shop.service(on_return="ignore")
    async def orders() -> None:
        await anyio.sleep(1)
        raise SystemExit(5)

    lived = life.live(shop, wait, Settings(drain_delay=3))
    assert ["0 web.start", "4 web.drain", "4 web.stop"] == life.log
    assert (Outcome.CLEAN, 5) == outcome(lived)


@pytest.mark.rule("R5")
@pytest.mark.uvloop
def test_system_exit_in_the_body(life: Life) -> None:
    """It leaves the body as it is, after everything was stopped; its code is in the report."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def body(system: System) -> None:
        raise SystemExit(6)

    lived = life.live(shop, body)
    assert ["web.start", "web.drain", "web.stop"] == life.words
    assert isinstance(lived.error, SystemExit)
    assert (Outcome.CLEAN, 6) == outcome(lived)


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("sync", [False, True])
def test_system_exit_in_a_preflight_check_is_a_failed_check(life: Life, *, sync: bool) -> None:
    """The check has its code, and nothing is started."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    if sync:

        @shop.preflight
        def migrated() -> None:
            raise SystemExit(7)
    else:

        @shop.preflight
        async def migrated_async() -> None:
            raise SystemExit(7)

    lived = life.live(shop)
    assert [] == life.words
    assert isinstance(lived.error, PreflightError)
    assert lived.error.exit_code == 7
    assert (Outcome.START_FAILED, 7) == outcome(lived)


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("hook", ["start", "drain", "stop"])
def test_keyboard_interrupt_in_a_hook(life: Life, hook: str, *, sync: bool) -> None:
    """It is a fast shutdown, everything is stopped, and it is raised bare at the end."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def interrupt_async() -> None:
        raise KeyboardInterrupt

    class Thing:
        def start(self) -> None: ...

    thing = Thing()
    setattr(thing, hook, interrupt if sync else interrupt_async)
    shop.add(thing, requires=database)

    lived = life.live(shop, companions=[Spy])
    report = SPIED.pop().report
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert type(lived.error) is KeyboardInterrupt
    assert report is not None
    assert (130, ()) == (report.exit_code, report.errors)


@pytest.mark.rule("R5")
def test_keyboard_interrupt_has_no_delay(life: Life) -> None:
    """It is fast, as Ctrl-C is."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    @shop.service(on_return="ignore")
    async def orders() -> None:
        await anyio.sleep(1)
        raise KeyboardInterrupt

    lived = life.live(shop, wait, Settings(drain_delay=3))
    assert ["0 web.start", "1 web.drain", "1 web.stop"] == life.log
    assert type(lived.error) is KeyboardInterrupt
    assert outcome(lived)[1] == 130


@pytest.mark.rule("R5")
@pytest.mark.uvloop
def test_keyboard_interrupt_in_the_body(life: Life) -> None:
    """It is raised bare, after everything was stopped."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def body(system: System) -> None:
        raise KeyboardInterrupt

    lived = life.live(shop, body, Settings(drain_delay=1000, grace_period=2000))
    assert ["web.start", "web.drain", "web.stop"] == life.words
    assert type(lived.error) is KeyboardInterrupt
    assert outcome(lived)[1] == 130


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt"])
def test_one_in_a_task_of_a_group_that_spans_the_yield(life: Life, kind: str) -> None:
    """A service that catches it in its own task ends in order, whatever the loop makes of it."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")
    running = anyio.Event()
    error = SystemExit(8) if kind == "SystemExit" else KeyboardInterrupt()

    @shop.service(requires=database)
    async def orders(life: Lifetime) -> None:
        life.started()
        try:
            await running.wait()
            raise error
        except BaseException:
            await anyio.lowlevel.checkpoint()
            raise

    async def body(system: System) -> None:
        running.set()
        await system.closed()

    lived = life.live(shop, body)
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert (8 if kind == "SystemExit" else 130) == outcome(lived)[1]


@pytest.mark.rule("R5")
@pytest.mark.uvloop
def test_the_first_code_that_is_not_0_counts(life: Life) -> None:
    """Whoever asks later changes nothing."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        system.shut_down("first")
        system.shut_down("second", exit_code=3)
        system.shut_down("third", exit_code=4)
        raise SystemExit(5)

    lived = life.live(shop, body)
    assert (Outcome.CLEAN, 3) == outcome(lived)
    assert lived.report is not None
    assert "first" == lived.report.reason


@pytest.mark.uvloop
@pytest.mark.parametrize("code", [-1, 256, True, 1.5, "1"])
def test_an_impossible_code(life: Life, code: Any) -> None:
    """It is refused where it is given, and nothing is shut down."""
    shop = Registry("shop")

    async def body(system: System) -> bool:
        with pytest.raises(ValueError, match="exit_code"):
            system.shut_down(exit_code=code)
        return system.status().ready

    assert life.live(shop, body).result is True
