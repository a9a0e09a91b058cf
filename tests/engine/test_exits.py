from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Outcome, Registry, Settings, System
from lifecycle.errors import ClosedError, CrashedError, PreflightError
from tests.engine.kit import Life, Lived, Noted, Spy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def outcome(lived: Lived) -> tuple[Outcome, int]:
    """Outcome and exit code."""
    assert lived.report is not None
    return lived.report.outcome, lived.report.exit_code


async def wait(system: System) -> None:
    """Be the body of a program that has nothing else to do."""
    await system.closed()


class Leaving:
    """An object of which one hook ends the program."""

    def __init__(self, hook: str, error: BaseException, *, sync: bool) -> None:
        def leave() -> None:
            raise error

        async def leave_async() -> None:
            raise error

        setattr(self, hook, leave if sync else leave_async)

    def start(self) -> None:
        """Start, unless that is the hook that ends the program."""


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("hook", ["start", "drain", "stop"])
def test_system_exit_in_a_hook(life: Life, hook: str, *, sync: bool) -> None:
    """It is caught there, everything is stopped in order, and its code is the exit code."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")
    shop.add(Leaving(hook, SystemExit(4), sync=sync), requires=database)

    spy = Spy()
    lived = life.live(shop, companions=[spy])
    report = spy.report
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert (Outcome.CLEAN, 4, ()) == (report.outcome, report.exit_code, report.errors)
    assert isinstance(lived.error, ClosedError if hook == "start" else type(None))


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("hook", ["start", "stop"])
def test_system_exit_in_a_generator(life: Life, hook: str, *, sync: bool) -> None:
    """The same in a component that is a generator."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    def leaving() -> Iterator[None]:
        if hook == "start":
            raise SystemExit(4)
        yield
        raise SystemExit(4)

    async def leaving_async() -> AsyncIterator[None]:
        for _ in leaving():
            yield

    shop.component(leaving if sync else leaving_async, name="leaving", requires=database)
    spy = Spy()
    lived = life.live(shop, companions=[spy])
    report = spy.report
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert (Outcome.CLEAN, 4, ()) == (report.outcome, report.exit_code, report.errors)
    assert isinstance(lived.error, ClosedError if hook == "start" else type(None))


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
@pytest.mark.parametrize(
    ("code", "expected"), [(None, 69), (0, 69), (True, 1), (255, 255), (256, 1), ("no", 1), (-1, 1)]
)
def test_the_code_of_a_system_exit_in_a_preflight_check(
    life: Life, code: Any, expected: int
) -> None:
    """It is what it would be elsewhere, and a failed check is never a success."""
    shop = Registry("shop")

    @shop.preflight
    def migrated() -> None:
        raise SystemExit(code)

    lived = life.live(shop)
    assert isinstance(lived.error, PreflightError)
    assert (Outcome.START_FAILED, expected) == outcome(lived)
    assert type(outcome(lived)[1]) is int


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("hook", ["start", "drain", "stop"])
def test_keyboard_interrupt_in_a_hook(life: Life, hook: str, *, sync: bool) -> None:
    """It is a fast shutdown, everything is stopped, and it is raised bare at the end."""
    shop = Registry("shop")
    database = shop.add(Noted(life, "database"), name="database")

    shop.add(Leaving(hook, KeyboardInterrupt(), sync=sync), requires=database)

    spy = Spy()
    lived = life.live(shop, companions=[spy])
    report = spy.report
    assert ["database.start", "database.drain", "database.stop"] == life.words
    assert type(lived.error) is KeyboardInterrupt
    assert (130, ()) == (report.exit_code, report.errors)


@pytest.mark.rule("R5")
@pytest.mark.parametrize("first", ["interrupt", "crash"])
def test_keyboard_interrupt_beside_an_error(life: Life, first: str) -> None:
    """The first cause is raised, with the others in its notes: Ctrl-C is not caught as an error."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[None]:
        yield
        if first == "crash":
            raise KeyboardInterrupt
        message = "connection lost"
        raise OSError(message)

    @shop.service(requires=[database])
    async def orders() -> None:
        await anyio.sleep(1)
        raise KeyboardInterrupt if first == "interrupt" else ValueError

    lived = life.live(shop, wait)
    assert lived.error is not None
    notes = getattr(lived.error, "__notes__", [])
    if first == "interrupt":
        assert type(lived.error) is KeyboardInterrupt
        assert [
            "also: StopError: the stop hook of 'database' failed: OSError: connection lost"
        ] == (notes)
    else:
        assert isinstance(lived.error, CrashedError)
    assert outcome(lived)[1] == 130


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
@pytest.mark.parametrize("error", [SystemExit(8), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_a_service_may_clean_up_on_its_way_out(life: Life, error: BaseException) -> None:
    """What it awaits in a `finally` is awaited: the loop goes on."""
    shop = Registry("shop")
    running = anyio.Event()

    @shop.service
    async def orders(life_: Lifetime) -> None:
        life_.started()
        try:
            await running.wait()
            raise error
        finally:
            await anyio.lowlevel.checkpoint()
            life.note("cleaned up")

    async def body(system: System) -> None:
        running.set()
        await system.closed()

    lived = life.live(shop, body)
    assert ["cleaned up"] == life.words
    assert (8 if isinstance(error, SystemExit) else 130) == outcome(lived)[1]


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
