"""What goes with a system: companions, preflight checks, observers."""

from __future__ import annotations

import contextlib
import functools
import logging
from contextlib import AbstractAsyncContextManager
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import (
    Lifetime,
    Outcome,
    Registry,
    Settings,
    System,
    events,
    preflight,
    running,
)
from lifecycle.errors import (
    ClosedError,
    CrashedError,
    PreflightError,
    StartError,
    StartTimeoutError,
)
from tests.engine.kit import Life, Lived, Noted, Spy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType


def outcome(lived: Lived) -> tuple[Outcome, int]:
    """Outcome and exit code."""
    assert lived.report is not None
    return lived.report.outcome, lived.report.exit_code


def companion(
    life: Life, name: str, *, takes: float = 0.0, fails: str = "", hangs: str = ""
) -> Callable[[System], AbstractAsyncContextManager[None]]:
    """A companion that takes its time to start and to stop."""

    async def do(what: str) -> None:
        if hangs == what:
            await anyio.sleep(1000)
        await anyio.sleep(takes)
        if fails == what:
            raise OSError(name)

    @contextlib.asynccontextmanager
    async def manager(system: System) -> AsyncIterator[None]:
        life.note(f"{name} starts, {system.status().phase}")
        await do("start")
        life.note(f"{name} has started")
        yield
        life.note(f"{name} stops, {system.status().phase}")
        await do("stop")
        life.note(f"{name} has stopped")

    manager.__name__ = name
    return manager


# --- companions ----------------------------------------------------------------------------------


@pytest.mark.rule("S1")
def test_companions_come_first_and_go_last(life: Life) -> None:
    """They start at once, before the checks, and stop when everything else has ended."""
    shop = Registry("shop")
    shop.add(Noted(life, "web", takes=1), name="web")

    @shop.preflight
    async def check() -> None:
        life.note("check")

    life.live(shop, companions=[companion(life, "a", takes=0.75), companion(life, "b", takes=0.5)])
    starts = ["0 a starts, preflight", "0 b starts, preflight"]
    stops = ["3.75 a stops, closing", "3.75 b stops, closing"]
    assert starts == sorted(life.log[:2])
    assert [
        "0.5 b has started",
        "0.75 a has started",
        "0.75 check",
        "0.75 web.start",
        "1.75 web.drain",
        "2.75 web.stop",
    ] == life.log[2:8]
    assert stops == sorted(life.log[8:10])
    assert ["4.25 b has stopped", "4.5 a has stopped"] == life.log[10:]


@pytest.mark.rule("D9")
def test_a_companion_that_cannot_start_fails_the_start(life: Life) -> None:
    """Nothing else runs: no check, no component; the other companions are left."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    shop.preflight(lambda: life.note("check"))

    lived = life.live(
        shop, companions=[companion(life, "a", takes=1, fails="start"), companion(life, "b")]
    )
    assert isinstance(lived.error, StartError)
    assert isinstance(lived.error.__cause__, OSError)
    assert (Outcome.START_FAILED, 69) == outcome(lived)
    assert not any("web" in line or "check" in line for line in life.log)
    assert "1 b has stopped" in life.log
    assert lived.report is not None
    assert "skipped" == lived.report.components["web"].state


@pytest.mark.rule("S1")
def test_every_failure_of_a_companion_is_reported(life: Life) -> None:
    """Not only the first."""
    lived = life.live(
        Registry("shop"),
        companions=[
            companion(life, "a", takes=2, fails="start"),
            companion(life, "b", takes=1, fails="start"),
        ],
    )
    assert lived.report is not None
    assert {"a", "b"} == {str(error.__cause__) for error in lived.report.errors}


def test_a_companion_that_takes_too_long_to_start(life: Life) -> None:
    """It has the default `start_timeout`."""
    lived = life.live(
        Registry("shop"),
        settings=Settings(start_timeout=3),
        companions=[companion(life, "a", hangs="start")],
        observers=[life.observe],
    )
    assert isinstance(lived.error, StartTimeoutError)
    assert "3 = closed" in life.log


@pytest.mark.rule("D9")
def test_a_companion_that_crashes_changes_neither_outcome_nor_code(life: Life) -> None:
    """It is in the report's errors; the service runs on."""

    class Crashing:
        def __init__(self, system: System) -> None: ...

        async def __aenter__(self) -> None:
            self.group = anyio.create_task_group()
            await self.group.__aenter__()
            self.group.start_soon(self.crash)

        async def crash(self) -> None:
            await anyio.sleep(1)
            raise OSError

        async def __aexit__(self, *args: Any) -> bool | None:  # noqa: PYI036  it hands them on
            return await self.group.__aexit__(*args)

    async def body(system: System) -> None:
        await anyio.sleep(3)
        assert system.status().ready
        life.note("body ends")

    lived = life.live(Registry("shop"), body, companions=[Crashing])
    assert ["3 body ends"] == life.log
    assert (Outcome.CLEAN, 0) == outcome(lived)
    assert lived.report is not None
    assert [CrashedError] == [type(error) for error in lived.report.errors]


@pytest.mark.rule("D9")
@pytest.mark.uvloop
def test_a_companion_that_fails_to_stop(life: Life) -> None:
    """It is in the report's errors as well, and keeps nobody."""
    lived = life.live(
        Registry("shop"),
        companions=[companion(life, "a", fails="stop"), companion(life, "b")],
    )
    assert (Outcome.CLEAN, 0) == outcome(lived)
    assert lived.report is not None
    assert 1 == len(lived.report.errors)
    assert "b has stopped" in life.words


@pytest.mark.rule("D9")
def test_a_companion_that_does_not_stop(life: Life) -> None:
    """It has at most a second, and is then cancelled."""
    life.live(
        Registry("shop"),
        companions=[companion(life, "a", hangs="stop")],
        observers=[life.observe],
    )
    (closed,) = [line for line in life.log if line.endswith("= closed")]
    assert float(closed.split()[0]) <= 1.5


@pytest.mark.rule("S6")
def test_a_shutdown_while_companions_start(life: Life) -> None:
    """They are left as usual, and nothing is started."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    shop.preflight(lambda: life.note("check"))

    @contextlib.asynccontextmanager
    async def asking(system: System) -> AsyncIterator[None]:
        system.shut_down("deploy")
        yield

    lived = life.live(shop, companions=[asking, companion(life, "a", takes=0.5)])
    assert isinstance(lived.error, ClosedError)
    assert "deploy" == lived.error.reason
    assert ["0.5 a has started", "0.5 a stops, closing", "1 a has stopped"] == life.log[1:]


@pytest.mark.rule("S6")
def test_a_shutdown_while_a_companion_hangs_at_its_start(life: Life) -> None:
    """It has no more time than to be left: the end does not wait for its start timeout."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    @contextlib.asynccontextmanager
    async def stuck(system: System) -> AsyncIterator[None]:
        life.note("is being entered")
        try:
            await anyio.sleep_forever()
            yield
        finally:
            life.note("unwinds")

    @contextlib.asynccontextmanager
    async def asking(system: System) -> AsyncIterator[None]:
        system.shut_down("deploy")
        yield

    lived = life.live(shop, companions=[stuck, asking], settings=Settings(grace_period=20))

    assert isinstance(lived.error, ClosedError)
    assert ["0 is being entered", "1 unwinds"] == life.log
    assert outcome(lived) == (Outcome.CLEAN, 0)


@pytest.mark.rule("D9")
def test_none_is_entered_once_a_shutdown_is_asked_for(life: Life) -> None:
    """There is nothing to accompany."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with running(shop, companions=[companion(life, "a")]):
                pytest.fail("it was cancelled")

    life.run(main)
    assert [] == life.words


@pytest.mark.rule("D9")
def test_a_companion_that_raises_while_it_unwinds(life: Life) -> None:
    """What it raises is the cause of its failure: it was not entered in time."""
    shop = Registry("shop")

    @contextlib.asynccontextmanager
    async def stuck(system: System) -> AsyncIterator[None]:
        try:
            await anyio.sleep_forever()
            yield
        finally:
            raise OSError

    lived = life.live(shop, companions=[stuck], settings=Settings(start_timeout=3))
    assert isinstance(lived.error, StartTimeoutError)
    assert isinstance(lived.error.__cause__, OSError)


@pytest.mark.rule("D9")
def test_a_companion_outlives_the_start_timeout(life: Life) -> None:
    """That is the time to enter it, and over when it is in, also where its task is eager."""
    shop = Registry("shop")

    async def body(system: System) -> None:
        await anyio.sleep(10)
        life.note("the body ends")

    settings = Settings(start_timeout=3)
    lived = life.live(shop, body, settings=settings, companions=[companion(life, "a")])
    assert lived.error is None
    assert ["10 the body ends", "10 a stops, closing", "10 a has stopped"] == life.log[2:]


# --- preflight -----------------------------------------------------------------------------------


@pytest.mark.rule("S1")
def test_checks_run_at_the_same_time_before_the_first_component(life: Life) -> None:
    """Sync ones, each in a thread of its own, and async ones."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    done: list[str] = []

    @shop.preflight
    async def one() -> None:
        await anyio.sleep(2)
        life.note("one")

    @shop.preflight
    async def two() -> bool:
        await anyio.sleep(2)
        life.note("two")
        return True

    @shop.preflight
    def three() -> None:
        done.append("three")

    lived = life.live(shop)
    assert lived.error is None
    assert ["three"] == done
    assert {"2 one", "2 two"} == set(life.log[:2])
    assert ["2 web.start", "2 web.drain", "2 web.stop"] == life.log[2:]


@pytest.mark.rule("S1")
def test_every_failure_of_a_check_is_reported(life: Life) -> None:
    """In the order of registration, whichever comes first; nothing is started."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    @shop.preflight
    async def slow() -> None:
        await anyio.sleep(2)
        message = "slow"
        raise OSError(message)

    @shop.preflight
    def no() -> bool:
        return False

    @shop.preflight
    def none() -> None: ...

    @shop.preflight
    async def own() -> None:
        check, reason = "own", "its own words"
        raise PreflightError(check, reason, 9)

    lived = life.live(shop)
    assert [] == life.log
    assert [
        "PreflightError: preflight check 'slow' failed: OSError: slow",
        "PreflightError: preflight check 'no' failed: it returned False",
        "PreflightError: preflight check 'own' failed: its own words",
    ] == lived.errors
    assert (Outcome.START_FAILED, 9) == outcome(lived)


@pytest.mark.rule("S1")
@pytest.mark.parametrize("sync", [True, False])
def test_a_shutdown_during_the_checks_is_no_failure(life: Life, *, sync: bool) -> None:
    """They are ended, nothing is started, and the end is clean."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    stuck = life.stuck()

    if sync:
        shop.preflight(stuck.block)
    else:

        @shop.preflight
        async def slow() -> None:
            try:
                await anyio.sleep(50)
            finally:
                life.note("ended")

    @contextlib.asynccontextmanager
    async def asking(system: System) -> AsyncIterator[None]:
        async def ask() -> None:
            await anyio.sleep(2)
            system.shut_down("deploy")

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            yield
            report.append(system)

    report: list[System] = []
    lived = life.live(shop, companions=[asking], observers=[life.observe])
    assert isinstance(lived.error, ClosedError)
    assert "2 = closed" in life.log
    assert report[0].report is not None
    assert (Outcome.CLEAN, 0, ()) == (
        report[0].report.outcome,
        report[0].report.exit_code,
        report[0].report.errors,
    )


@pytest.mark.uvloop
def test_a_copy_without_checks(life: Life) -> None:
    """`without_preflight()` is for tests."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    shop.preflight(lambda: False)
    assert life.live(shop.without_preflight()).error is None
    assert ["web.start", "web.drain", "web.stop"] == life.words


# --- observers -----------------------------------------------------------------------------------


@pytest.mark.uvloop
def test_an_observer_that_raises_affects_nothing(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the others, and the run, go on."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    def broken(event: events.Event) -> None:
        message = "observer"
        raise ValueError(message)

    lived = life.live(shop, observers=[broken, life.observe])
    assert lived.error is None
    assert "= running" in life.words
    assert "web.stop" in life.words
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == len([word for word in life.words if "." not in word])
    assert {"lifecycle"} == {record.name for record in failures}


@pytest.mark.uvloop
def test_events_come_in_pairs(life: Life) -> None:
    """Each -ing has its -ed, with a duration; all are frozen."""
    shop = Registry("shop")
    told: list[Any] = []
    shop.add(Noted(life, "web"), name="web")

    @shop.preflight
    async def check() -> None: ...

    lived = life.live(shop, companions=[companion(life, "a")], observers=[told.append])
    assert lived.error is None
    pairs: list[tuple[type[Any], type[Any]]] = [
        (events.CompanionStarting, events.CompanionStarted),
        (events.CheckStarting, events.CheckEnded),
        (events.ComponentStarting, events.ComponentStarted),
        (events.ComponentDraining, events.ComponentDrained),
        (events.ComponentStopping, events.ComponentStopped),
        (events.CompanionStopping, events.CompanionStopped),
    ]
    for begin, end in pairs:
        (first,) = [event for event in told if type(event) is begin]
        (second,) = [event for event in told if type(event) is end]
        assert told.index(first) < told.index(second)
        assert second.duration >= 0
        assert second.error is None
        with pytest.raises(AttributeError):
            second.duration = 3
    assert sorted(event.at for event in told) == [event.at for event in told]


@pytest.mark.rule("R5")
@pytest.mark.uvloop
@pytest.mark.parametrize("interrupt", [SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_start_that_is_interrupted_has_ended_too(
    life: Life, interrupt: BaseException, *, mapped: bool
) -> None:
    """It has its -ed event, which says that it was given up: that is no failure of its own."""
    shop = Registry("shop")
    told: list[Any] = []

    def raise_it(_: object = None) -> None:
        raise interrupt

    if mapped:
        shop.value(1, name="one").map(raise_it, name="web")
    else:
        shop.component(raise_it, name="web")
    life.live(shop, observers=[told.append])
    began, ended = (event for event in told if getattr(event, "component", None) == "web")
    assert isinstance(began, events.ComponentStarting)
    assert isinstance(ended, events.ComponentStarted)
    assert isinstance(ended.error, ClosedError)


def test_durations_are_those_of_the_hooks(life: Life) -> None:
    """In the events and in the report alike."""
    shop = Registry("shop")
    told: list[Any] = []

    @shop.component
    async def web() -> AsyncIterator[None]:
        await anyio.sleep(1)
        yield
        await anyio.sleep(3)

    @web.drain
    async def _(_: None) -> None:
        await anyio.sleep(2)

    async def body(system: System) -> None:
        await anyio.sleep(5)

    lived = life.live(shop, body, observers=[told.append])
    ended = (events.ComponentStarted, events.ComponentDrained, events.ComponentStopped)
    assert [1, 2, 3] == [round(event.duration, 3) for event in told if isinstance(event, ended)]
    assert lived.report is not None
    web_ = lived.report.components["web"]
    assert (1, 2, 3) == (web_.start_time, web_.drain_time, web_.stop_time)
    assert 11 == round(lived.report.duration, 3)
    assert 11 == round(told[-1].duration, 3)


@pytest.mark.uvloop
def test_events_are_logged(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """One line each to the logger `lifecycle`, with the fields in `extra`."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")
    with caplog.at_level(logging.INFO, "lifecycle"):
        life.live(shop)
    lines = [
        (record.message.split(" (")[0], vars(record).get("event")) for record in caplog.records
    ]
    assert [
        ("starting", "PhaseChanged"),
        ("web starts", "ComponentStarting"),
        ("web started", "ComponentStarted"),
        ("running", "PhaseChanged"),
    ] == lines[:4]
    assert "web" == vars(caplog.records[1])["component"]


@pytest.mark.uvloop
def test_an_observer_may_act(life: Life) -> None:
    """It is told on the loop, and may ask for a shutdown, or look at the system."""
    shop, spy = Registry("shop"), Spy()
    shop.add(Noted(life, "a"), name="a")
    shop.add(Noted(life, "b"), name="b", requires="a")

    def act(event: events.Event) -> None:
        if isinstance(event, events.ComponentStarted) and event.component == "a":
            spy.system.status()
            spy.system.shut_down("enough")

    lived = life.live(shop, companions=[spy], observers=[act])
    assert isinstance(lived.error, ClosedError)
    assert ["a.start", "a.drain", "a.stop"] == life.words


@pytest.mark.uvloop
def test_companions_and_checks_have_names(life: Life) -> None:
    """Their own, or that of the function or class behind them."""
    shop = Registry("shop")

    class Named:
        name: str | None = "disk"

        def __call__(self, *_: System) -> Any:
            return contextlib.nullcontext()

    class Unnamed(Named):
        name = None

    def ping(host: str, *systems: System) -> Any:
        return contextlib.nullcontext()

    for check in (Named(), Unnamed(), functools.partial(ping, "db")):
        shop.preflight(check)

    lived = life.live(
        shop,
        companions=[Named(), Unnamed(), functools.partial(ping, "db")],
        observers=[life.observe],
    )
    assert lived.error is None
    starts = {word for word in life.words if word.endswith("starts")}
    assert {f"{kind} {name} starts" for kind in ("companion", "check") for name in NAMES} == starts


NAMES = ("disk", "Unnamed", "ping")


@pytest.mark.uvloop
def test_lines_for_people(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """What is skipped says because of what, and what is back in rotation says so."""
    shop = Registry("shop")

    @shop.component(optional=True)
    async def broken() -> None:
        raise OSError

    shop.add(Noted(life, "web"), name="web", requires=broken, optional=True)

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.started()
        life.unavailable("no broker")
        life.available()
        await life.wait_draining()

    with caplog.at_level(logging.INFO, "lifecycle"):
        life.live(shop)
    assert "web is skipped because of broken" in caplog.messages
    assert "orders is unavailable: no broker" in caplog.messages
    assert "orders is available again" in caplog.messages


@pytest.mark.uvloop
def test_what_was_raised_is_logged_with_its_traceback(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, also where it was tried again; and where nothing but trouble is logged."""
    shop = Registry("shop")

    @shop.component(optional=True, retry=1)
    async def broken() -> None:
        raise OSError("no such table")

    @shop.component(optional=True, start_timeout=0.01)
    async def slow() -> None:
        await anyio.sleep_forever()

    life.live(shop)
    shown = {
        (vars(record)["event"], vars(record)["component"]): record.exc_info
        for record in caplog.records
    }
    assert [
        ("ComponentRetrying", "broken"),
        ("ComponentStarted", "broken"),
        ("ComponentStarted", "slow"),
    ] == sorted(shown)
    levels = [record.levelno for record in caplog.records]
    assert [logging.ERROR, logging.ERROR, logging.WARNING] == sorted(levels, reverse=True)
    kind, error, traceback = shown.pop(("ComponentStarted", "broken")) or (None, None, None)
    assert OSError is kind
    assert "no such table" in str(error)
    assert traceback is not None
    assert "broken" in traceback_names(traceback)
    assert [None, None] == list(shown.values())


def test_what_ends_the_system_is_shown_once(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """With what failed, and not again with the end."""
    shop = Registry("shop")

    @shop.component
    async def broken() -> None:
        raise OSError("no such table")

    life.live(shop)
    shown = [(vars(one)["event"], one.exc_info is not None) for one in caplog.records]
    assert [("ComponentStarted", True), ("Closed", False)] == shown


def test_what_lifecycle_raises_is_shown_without_its_traceback(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    """That would be one of lifecycle itself, where nothing is to be mended."""
    shop = Registry("shop")
    shop.preflight(preflight.env("NO_SUCH_VARIABLE"))

    life.live(shop)
    assert 2 == len(caplog.records)
    assert [None, None] == [record.exc_info for record in caplog.records]


def traceback_names(traceback: TracebackType) -> list[str]:
    """The functions that it went through."""
    return [frame.f_code.co_name for frame, _ in walk_tb(traceback)]
