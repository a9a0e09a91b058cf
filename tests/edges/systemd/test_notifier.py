"""What systemd is told of real systems: whole transcripts of datagrams, in virtual time."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import re
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import pytest

import lifecycle
from lifecycle import Lifetime, Registry, Settings, System
from lifecycle.errors import PreflightError, StartError
from lifecycle.integrations import systemd
from tests.engine.kit import Life, Lived, Spy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.edges.systemd.kit import Receiver

SETTINGS = Settings(grace_period=25)


def live(  # noqa: PLR0913  what there is to say of a run
    life: Life,
    receiver: Receiver,
    registry: Registry,
    body: Callable[[System], Awaitable[object]] | None = None,
    settings: Settings = SETTINGS,
    *,
    watchdog: float | None = None,
    companions: tuple[Any, ...] = (),
) -> Lived:
    """Run a system as systemd would; what it tells is in the log, with its time."""
    environ = {"NOTIFY_SOCKET": receiver.address}
    if watchdog is not None:
        environ["WATCHDOG_USEC"] = str(round(watchdog * 1e6))
        environ["WATCHDOG_PID"] = str(os.getpid())
    with mock.patch.dict(os.environ, environ):
        lived = life.live(
            registry,
            body,
            settings,
            companions=[receiver.reading(life.note), systemd.notifier(), *companions],
        )
    for said in receiver.read():
        life.note(said)
    return lived


def slow(
    registry: Registry, name: str, *, start: float = 0, drain: float = 0, stop: float = 0
) -> Any:
    """Declare a component that takes its time."""

    @registry.component(name=name, start_timeout=60)
    async def component() -> AsyncIterator[str]:
        await anyio.sleep(start)
        yield name
        await anyio.sleep(stop)

    @component.drain
    async def _(_: str) -> None:
        await anyio.sleep(drain)

    return component


def shown(life: Life) -> list[str]:
    """What systemd makes of it, without extensions and pings: milestones, and the text.

    What is told in one instant is one line, with the last of its texts: who is first in it is left
    to the event loop.
    """
    milestones: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for line in life.log:
        now, _, said = line.partition(" ")
        milestones.setdefault(now, []).extend(
            word for word in said.split(", ") if word in ("READY=1", "STOPPING=1")
        )
        if found := re.search(r"STATUS=(.*?)(, [A-Z_]+=|$)", said):
            texts[now] = found[1]
    lines = [(now, [*words, *filter(None, [texts.get(now)])]) for now, words in milestones.items()]
    return [f"{now} {', '.join(words)}" for now, words in lines if words]


# --- the life of a service -----------------------------------------------------------------------


def test_an_end_right_after_the_start(life: Life, receiver: Receiver) -> None:
    """It is announced before a hook can block the loop, however soon after ``READY=1`` it comes."""
    shop = Registry("shop")
    for number in range(100):  # it looks away for 5 ms after each look at as many as these
        shop.value(number, name=f"value-{number}")

    @shop.component
    async def database() -> AsyncIterator[str]:
        yield "database"
        life.note(" ".join(receiver.read()))

    @shop.component(requires=[database])
    async def web() -> AsyncIterator[str]:
        yield "web"
        await anyio.sleep(0.001)

    async def body(system: System) -> None:
        while "READY=1" not in await receiver.next():
            pass
        system.shut_down("at once")
        await system.closed()

    with mock.patch.dict(os.environ, {"NOTIFY_SOCKET": receiver.address}):
        life.live(shop, body, SETTINGS, companions=[systemd.notifier()])

    (said,) = life.log
    assert "STOPPING=1" in said


def test_a_whole_life(life: Life, receiver: Receiver) -> None:
    """From the first start to the last stop: what a person and systemd see, second by second."""
    shop = Registry("shop")
    slow(shop, "database", start=2.5, drain=1.5, stop=1.5)

    async def body(system: System) -> None:
        await anyio.sleep(100)
        system.shut_down("deploy")
        await system.closed()

    live(life, receiver, shop, body, Settings(grace_period=25, drain_delay=1))
    assert [
        "0 starting: 0 of 1 ready, waits for database",
        "1 starting: 0 of 1 ready, waits for database (1 s)",
        "2 starting: 0 of 1 ready, waits for database (2 s)",
        "2.5 READY=1, running: 1 component",
        "102.5 STOPPING=1, shutting down: serves for 1 s more, 25 s left",
        "103.5 draining: 0 in flight, waits for database, 24 s left",
        "104.5 draining: 0 in flight, waits for database (1 s), 23 s left",
        "105 closing: waits for database, 23 s left",
        "106 closing: waits for database (1 s), 22 s left",
        "106.5 closed",
    ] == shown(life)


def test_a_drain_that_waits_for_work(life: Life, receiver: Receiver) -> None:
    """What is in flight is counted, and the time that it has left."""
    shop = Registry("shop")
    shop.value(1, name="config")

    async def body(system: System) -> None:
        await anyio.sleep(5)
        with system.hold("GET /"):
            with system.hold("GET /"):
                system.shut_down("deploy")
                await anyio.sleep(1.5)
            await anyio.sleep(1)
        await system.closed()

    live(life, receiver, shop, body)
    assert [
        "0 READY=1, running: 1 component",
        "5 STOPPING=1, draining: 2 in flight, 25 s left",
        "6 draining: 2 in flight, 24 s left",
        "7 draining: 1 in flight, 23 s left",
        "7.5 closed",
    ] == shown(life)


@pytest.mark.uvloop
def test_a_start_that_fails(life: Life, receiver: Receiver) -> None:
    """It is never ready; the last words name the cause, by its type, and keep its secrets."""
    shop = Registry("shop")

    @shop.component
    async def database() -> None:
        message = "password 1234"
        raise ConnectionRefusedError(message)

    lived = live(life, receiver, shop)
    assert isinstance(lived.error, StartError)
    assert [] == [word for word in life.words if "1234" in word or "READY=1" in word]
    assert 1 == sum(word.startswith("STOPPING=1, ") for word in life.words)
    text = "STATUS=start failed: database (ConnectionRefusedError)"
    assert text == life.words[-1].removeprefix("STOPPING=1, ").partition(", EXTEND")[0]


@pytest.mark.uvloop
def test_a_preflight_check_that_fails(life: Life, receiver: Receiver) -> None:
    """Likewise: the check may have a secret in its name, so that only the type is told."""
    shop = Registry("shop")

    @shop.preflight
    def check() -> None:
        raise PreflightError("--password=1234", "it exited with code 3")

    live(life, receiver, shop)
    assert [] == [word for word in life.words if "1234" in word or "READY=1" in word]
    assert 1 == sum(word.startswith("STOPPING=1, ") for word in life.words)
    text = "STATUS=start failed: PreflightError"
    assert text == life.words[-1].removeprefix("STOPPING=1, ").partition(", EXTEND")[0]


def test_a_shutdown_during_the_start(life: Life, receiver: Receiver) -> None:
    """Systemd hears that it stops, and never that it is ready."""
    shop = Registry("shop")
    slow(shop, "database", start=9)
    spy = Spy()

    @shop.component
    async def impatient() -> None:
        await anyio.sleep(0.5)
        spy.system.shut_down("deploy")

    live(life, receiver, shop, companions=(spy,))
    assert [
        "0 starting: 0 of 2 ready, waits for database, impatient",
        "0.5 STOPPING=1, closed",
    ] == shown(life)


def test_a_component_that_crashes(life: Life, receiver: Receiver) -> None:
    """The cause stands before what goes on, and is what is left in the end."""
    shop = Registry("shop")
    slow(shop, "database", stop=1.5)

    @shop.service
    async def orders() -> None:
        await anyio.sleep(5)
        message = "password 1234"
        raise ValueError(message)

    async def body(system: System) -> None:
        await system.closed()

    live(life, receiver, shop, body)
    assert [
        "0 READY=1, running: 2 components",
        "5 STOPPING=1, crashed: orders (ValueError); closing: waits for database, 25 s left",
        "6 crashed: orders (ValueError); closing: waits for database (1 s), 24 s left",
        "6.5 crashed: orders (ValueError)",
    ] == shown(life)


def test_a_readiness_that_is_lost(life: Life, receiver: Receiver) -> None:
    """Systemd knows no way to take READY=1 back: the status says it."""
    shop = Registry("shop")

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.started()
        await anyio.sleep(5)
        life.unavailable("no broker at password 1234")
        await anyio.sleep(5)
        life.available()
        await life.wait_draining()

    async def body(system: System) -> None:
        await anyio.sleep(20)

    live(life, receiver, shop, body)
    assert [
        "0 READY=1, running: 1 component",
        "5 not ready: orders is unavailable",
        "10 running: 1 component",
        "20 STOPPING=1, closed",
    ] == shown(life)


@pytest.mark.uvloop
def test_a_run_of_one_instant(life: Life, receiver: Receiver) -> None:
    """A batch job that has nothing to do was ready all the same, and ends well."""
    shop = Registry("shop")

    @shop.main
    async def nightly() -> None:
        pass

    live(life, receiver, shop)
    milestones = [word for said in life.words for word in said.split(", ") if word.endswith("Y=1")]
    assert ["READY=1"] == milestones
    assert life.words[-1].partition(", EXTEND")[0].endswith("STATUS=closed")


# --- long starts and shutdowns -------------------------------------------------------------------


def extensions(log: list[str]) -> list[tuple[float, float]]:
    """When an extension was told, and of how many seconds."""
    return [
        (float(line.split()[0]), round(int(found[1]) / 1e6, 2))
        for line in log
        if (found := re.search(r"EXTEND_TIMEOUT_USEC=(\d+)", line))
    ]


def test_a_long_start(life: Life, receiver: Receiver) -> None:
    """It is extended again and again while the hook is within its time, also what it adds to it."""
    shop = Registry("shop")

    @shop.component(start_timeout=12)
    async def database(life: Lifetime) -> None:
        await anyio.sleep(10)
        life.extend(8)
        await anyio.sleep(6.5)

    live(life, receiver, shop)
    assert [(0, 10), (5, 8), (9, 4), (11, 10), (16, 5), (16.5, 10), (16.5, 10)] == extensions(
        life.log
    )


def test_a_start_that_hangs(life: Life, receiver: Receiver) -> None:
    """It is extended until lifecycle gives it up, and then for the time that it takes to end."""
    shop = Registry("shop")

    @shop.component(start_timeout=4, stop_timeout=2)
    async def database() -> None:
        try:
            await anyio.sleep(1000)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)

    lived = live(life, receiver, shop)
    assert ["'database' was not ready after 4 s"] == [
        error.partition(":")[2].strip().partition(": ")[0] for error in lived.errors
    ]
    assert [(0, 5), (2.5, 2.5), (3.75, 1.25), (4, 10), (5, 10)] == extensions(life.log)


def test_checks_before_the_start(life: Life, receiver: Receiver) -> None:
    """One that says how long it may take has that time; one that does not leaves it to systemd."""

    class Check:
        def __init__(self, name: str, timeout: float | None = None) -> None:
            self.name = name
            self.timeout = timeout

        async def __call__(self) -> None:
            await anyio.sleep(8)

    shop = Registry("shop")
    shop.preflight(Check("migrations", timeout=6))
    shop.preflight(Check("by hand"))

    live(life, receiver, shop)
    assert [(0, 7), (3.5, 3.5), (5.25, 1.75)] == extensions(life.log)[:3]
    assert extensions(life.log)[3][0] >= 8


# --- the watchdog --------------------------------------------------------------------------------


def pings(log: list[str]) -> list[float]:
    """When it said that it is alive."""
    return [float(line.split()[0]) for line in log if "WATCHDOG=1" in line]


def test_it_pings_at_half_of_the_time(life: Life, receiver: Receiver) -> None:
    """In every phase in which something goes on."""
    shop = Registry("shop")
    slow(shop, "database", start=5, drain=5, stop=5)

    async def body(system: System) -> None:
        await anyio.sleep(5)
        system.shut_down("deploy")

    live(life, receiver, shop, body, Settings(grace_period=25), watchdog=6)
    told = pings(life.log)
    gaps = [round(later - ping, 3) for ping, later in itertools.pairwise(told)]
    assert [3.0] * 6 == gaps
    assert told[0] <= 3
    assert told[-1] >= 17


def test_liveness_checks_that_fail(life: Life, receiver: Receiver) -> None:
    """No ping while they fail, and the status says why.

    They are asked more often meanwhile: before systemd acts, they have failed four times.
    """
    shop = Registry("shop")

    @shop.component
    async def worker() -> str:
        return "worker"

    @worker.check(liveness=True)
    async def beats(_: str) -> bool:
        return not 10 <= life.now() < 14.5

    @worker.check
    async def ready(_: str) -> bool:
        return False  # it is not asked: it does not concern the life of the process

    async def body(system: System) -> None:
        await anyio.sleep(20)

    live(life, receiver, shop, body, watchdog=8)
    first, *following = pings(life.log)
    assert first in (0, 1)  # in the instant of the start it may be asked for just before it begins
    assert [first + 4, first + 8, 15, 19] == following
    assert [
        "0 READY=1, running: 1 component",
        f"{first + 12:g} not alive: check beats of worker (returned False)",
        "15 running: 1 component",
        "20 STOPPING=1, closed",
    ] == shown(life)


def test_a_watchdog_that_is_somebody_elses(life: Life, receiver: Receiver) -> None:
    """A wrapper was started by systemd, and is the one that has to ping."""
    shop = Registry("shop")
    shop.value(1, name="config")

    async def body(system: System) -> None:
        await anyio.sleep(20)

    with mock.patch.dict(os.environ, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}):
        live(life, receiver, shop, body)
    assert [] == pings(life.log)
    assert "READY=1" in "".join(life.log)


def test_a_watchdog_that_is_too_fast(
    life: Life, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """One that a slow check alone would trip is named, with the number that it follows from."""
    shop = Registry("shop")
    shop.value(1, name="config")

    live(life, receiver, shop, settings=Settings(check_timeout=0.8), watchdog=1.5)
    warning = (
        "WatchdogSec is 1.5 s, and a liveness check may take 0.8 s (check_timeout): systemd may "
        "end the service although all is well. Give it more than twice the check_timeout"
    )
    assert [warning] == [
        record.message for record in caplog.records if record.name == "lifecycle.systemd"
    ]


# --- what surrounds it ---------------------------------------------------------------------------


@pytest.mark.uvloop
def test_without_systemd_it_does_nothing(life: Life) -> None:
    """A program runs by hand as it does as a service."""
    shop = Registry("shop")
    shop.value(1, name="config")

    async def body(system: System) -> list[str]:
        await anyio.lowlevel.checkpoint()
        return [task.name or "" for task in anyio.get_running_tasks()]

    lived = life.live(shop, body, companions=[systemd.notifier()])
    assert lived.error is None
    assert [] == [name for name in lived.result if "lifecycle: systemd: " in name]


def test_an_address_that_is_none(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """It is named, and the service runs all the same."""
    shop = Registry("shop")
    shop.value(1, name="config")

    with mock.patch.dict(os.environ, {"NOTIFY_SOCKET": "vsock:2:1234"}):
        lived = life.live(shop, companions=[systemd.notifier()])
    assert lived.error is None
    warning = (
        "NOTIFY_SOCKET cannot be used, so that systemd is told nothing: 'vsock:2:1234' is neither "
        "an absolute path nor the name of an abstract socket (@name)"
    )
    assert [warning] == [
        record.message for record in caplog.records if record.levelno >= logging.WARNING
    ]


@pytest.mark.uvloop
def test_nobody_else_speaks_in_its_name(life: Life, receiver: Receiver) -> None:
    """What preflight checks and components start inherits none of the variables."""
    shop = Registry("shop")

    def look(where: str) -> None:
        found = sorted({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"} & set(os.environ))
        seen[where] = found

    seen: dict[str, list[str]] = {}
    shop.preflight(functools.partial(look, "check"))

    @shop.component
    def nginx() -> None:
        look("start")

    live(life, receiver, shop, watchdog=60)
    assert {"check": [], "start": []} == seen


def test_a_systemd_that_does_not_read(life: Life, receiver: Receiver) -> None:
    """The service goes on undisturbed, and when systemd reads again, the milestones are there."""
    shop = Registry("shop")
    slow(shop, "database", start=50, stop=0.5)

    async def main() -> tuple[list[str], list[str]]:
        async with lifecycle.running(shop, SETTINGS, companions=[systemd.notifier()]) as system:
            system.shut_down("deploy")
            await anyio.wait_all_tasks_blocked()
            first = receiver.read()
            await anyio.sleep(0.1)
            return first, receiver.read()

    with mock.patch.dict(os.environ, {"NOTIFY_SOCKET": receiver.address}):
        first, then = life.run(main)
    assert "READY=1" not in "".join(first)
    milestones = [said.partition(",")[0] for said in then]
    assert ["READY=1", "STOPPING=1"] == [word for word in milestones if word.endswith("=1")]


def test_a_systemd_that_reads_late(life: Life, receiver: Receiver) -> None:
    """The last words wait for it, for a moment."""
    shop = Registry("shop")
    shop.value(1, name="config")

    @contextlib.asynccontextmanager
    async def reader(system: System) -> AsyncIterator[None]:
        yield
        await anyio.sleep(0.1)
        for said in receiver.read():
            life.note(said)

    async def body(system: System) -> None:
        await anyio.sleep(1)
        receiver.fill()

    with mock.patch.dict(os.environ, {"NOTIFY_SOCKET": receiver.address}):
        life.live(shop, body, SETTINGS, companions=[systemd.notifier(), reader])
    said = [*life.words, *receiver.read()]
    assert ["STOPPING=1", "STATUS=closed"] == said[-1].split(", ")[:2]


def test_a_systemd_that_goes_away(life: Life, receiver: Receiver) -> None:
    """Nothing that goes wrong on the way to systemd is the service's business."""
    shop = Registry("shop")
    slow(shop, "database", start=3)
    receiver.close()

    with mock.patch.dict(os.environ, {"NOTIFY_SOCKET": receiver.address}):
        lived = life.live(shop, companions=[systemd.notifier()])
    assert lived.error is None
    assert [] == lived.errors


def test_a_very_large_system(life: Life, receiver: Receiver) -> None:
    """It looks away for longer the more there is to look at: a start is not slowed down by it."""
    shop = Registry("shop")
    before: Any = None
    for number in range(300):

        @shop.component(name=f"c{number}", requires=[] if before is None else [before])
        async def one() -> None:
            await anyio.lowlevel.checkpoint()

        before = one

    with mock.patch.object(System, "status", autospec=True, side_effect=System.status) as status:
        live(life, receiver, shop)
    assert "READY=1" in "".join(life.log)
    assert status.call_count < 20
