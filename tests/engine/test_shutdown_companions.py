"""What accompanies a system: from before the first start until after the last stop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Registry, Settings, System
from lifecycle.errors import CrashedError, StartError, StartTimeoutError
from tests.engine.parts import asked, companion, end, fail, forever, ignoring, part, summary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.engine.kit import Life


@pytest.mark.rule("S1", "D9")
def test_they_are_first_and_last(life: Life) -> None:
    """They are in before anything starts and go when everything has stopped."""
    shop = Registry("shop")
    part(shop, "database", start=1, drain=1, stop=1)

    lived = life.live(
        shop,
        asked,
        companions=[companion(life, start=1, stop=0.5), companion(life, stop=0.25, name="other")],
        observers=[life.observe],
    )

    assert [
        "0 companion probe starts",
        "0 probe: preflight",
        "0 companion other starts",
        "0 other: preflight",
        "0 other is in",
        "0 companion other started",
        "1 probe is in",
        "1 companion probe started",
        "1 = starting",
        "1 database starts",
        "2 database started",
        "2 = running",
        "2 asked to shut down: asked",
        "2 = draining",
        "2 database drains",
        "3 database drained",
        "3 = closing",
        "3 database stops",
        "4 database stopped",
        "4 companion probe stops",
        "4 probe: closing",
        "4 companion other stops",
        "4 other: closing",
        "4.25 other is out",
        "4.25 companion other stopped",
        "4.5 probe is out",
        "4.5 companion probe stopped",
        "4.5 = closed",
        "4.5 closed: clean, 0",
    ] == in_turns(life.log)
    assert ("clean", 0, []) == summary(lived)


def in_turns(log: list[str]) -> list[str]:
    """Put side by side what each of two companions does in the same instant."""

    def rank(line: str) -> tuple[float, int]:
        words = line.split()
        time = float(words[0])
        return time, ("other" in line) if "probe" in line or "other" in line else 0

    return sorted(log, key=rank) if [] != log else log


@pytest.mark.rule("S1", "D9")
def test_one_that_cannot_start(life: Life) -> None:
    """Fails the start, nothing else runs; those that were in are left."""
    shop = Registry("shop")
    part(shop, "database")
    shop.preflight(lambda: life.note("check"))

    @asynccontextmanager
    async def broken(_: System) -> AsyncIterator[None]:
        fail("no port")
        yield

    lived = life.live(shop, companions=[companion(life), broken], observers=[life.observe])

    assert isinstance(lived.error, StartError)
    assert "StartError: 'broken' did not start: ValueError: no port" in life.log[-1]
    assert lived.error.report is not None
    assert ("start failed", 69) == (
        str(lived.error.report.outcome),
        lived.error.report.exit_code,
    )
    assert "0 probe is out" in life.log
    assert "check" not in life.words
    assert "database starts" not in life.words


@pytest.mark.rule("D9")
def test_one_that_is_no_context_manager(life: Life) -> None:
    """Or is not even callable with the system: a failed start, not a broken engine."""
    shop = Registry("shop")

    def nothing(_: System) -> Any:
        return None

    lived = life.live(shop, companions=[nothing])
    assert isinstance(lived.error, StartError)

    too_few: Any = lambda: None  # noqa: E731  typed, so that it may be wrong
    lived = life.live(shop, companions=[too_few])
    assert isinstance(lived.error, StartError)


@pytest.mark.rule("D9")
def test_one_that_does_not_start_in_time(life: Life) -> None:
    """It has the time that a component has."""
    shop = Registry("shop")
    part(shop, "database")

    lived = life.live(shop, None, Settings(start_timeout=3), companions=[companion(life, start=10)])

    assert isinstance(lived.error, StartTimeoutError)
    assert "3" in str(lived.error)
    assert ["0 probe: preflight"] == life.log


@pytest.mark.rule("D9")
def test_a_crash_is_no_crash_of_the_system(life: Life) -> None:
    """It is told, and changes neither outcome nor code; the error is raised, being the first."""
    shop = Registry("shop")
    part(shop, "database")

    @asynccontextmanager
    async def crashing(_: System) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(crash)
            yield
            group.cancel_scope.cancel()

    async def crash() -> None:
        await anyio.sleep(1)
        fail("probe server")

    async def body(system: System) -> None:
        await anyio.sleep(5)
        life.note(str(system.status().phase))
        await asked(system)

    lived = life.live(shop, body, companions=[crashing], observers=[life.observe])

    assert "5 running" in life.log
    assert ("clean", 0, ["CrashedError"]) == summary(lived)
    assert isinstance(lived.error, CrashedError)
    assert "probe server" in repr(lived.error.__cause__) + str(lived.errors)


@pytest.mark.rule("D9")
def test_one_that_fails_at_its_end(life: Life) -> None:
    """Likewise."""
    shop = Registry("shop")

    lived = life.live(shop, asked, companions=[companion(life, stop=fail)])

    assert ("clean", 0, ["CrashedError"]) == summary(lived)


@pytest.mark.rule("D9")
def test_one_that_does_not_end(life: Life) -> None:
    """It is cancelled when the grace period is over, and holds nobody up."""
    shop = Registry("shop")
    part(shop, "database", drain=forever, stop=forever)

    settings = Settings(grace_period=10, close_reserve=4, stop_timeout=60)
    lived = life.live(
        shop, asked, settings, companions=[companion(life, stop=forever)], observers=[life.observe]
    )

    assert [
        "0 = draining",
        "0 database drains",
        "5.5 database drained",
        "5.5 = closing",
        "5.5 database stops",
        "8.5 database stopped",
        "8.5 companion probe stops",
        "8.5 probe: closing",
        "9.5 companion probe stopped",
        "9.5 = closed",
        "9.5 closed: incomplete, 75",
    ] == end(life)
    assert ("incomplete", 75) == summary(lived)[:2]


@pytest.mark.rule("D9")
def test_companions_have_one_second_also_when_there_is_more(life: Life) -> None:
    """They end in at most 1 s, or half of the close's reserve."""
    shop = Registry("shop")
    part(shop, "database")

    lived = life.live(
        shop, asked, companions=[companion(life, stop=forever)], observers=[life.observe]
    )

    assert "1 closed: clean, 0" == end(life)[-1]
    assert ("clean", 0, []) == summary(lived)
    told = "StopError: the stop hook of 'probe' had not ended after 1 s and was cancelled"
    assert [f"1 companion probe stopped: {told}"] == [
        line for line in life.log if "probe stopped" in line
    ]


@pytest.mark.rule("D8", "D9")
def test_one_that_ignores_its_cancellation(life: Life) -> None:
    """It is abandoned, with its stack; the report is complete inside of the grace period."""
    shop = Registry("shop")
    part(shop, "database")

    lived = life.live(
        shop,
        asked,
        Settings(grace_period=10),
        companions=[companion(life, stop=ignoring(60))],
        observers=[life.observe],
    )

    closed = next(line for line in life.log if "closed:" in line)
    assert float(closed.split()[0]) <= 10
    assert lived.report is not None
    assert ["probe"] == [one.component for one in lived.report.abandoned]
    assert "60 probe is out" in life.log


@pytest.mark.rule("D9", "P1")
def test_they_are_there_while_a_failed_start_is_rolled_back(life: Life) -> None:
    """Probes answer until the end, also after a failure."""
    shop = Registry("shop")
    part(shop, "database", stop=2)
    part(shop, "jobs", start=fail, requires="database")

    life.live(shop, companions=[companion(life)], observers=[life.observe])

    words = life.words
    assert words.index("database stopped") < words.index("probe: rolling back")
    assert words.index("probe is out") < words.index("= closed")


@pytest.mark.rule("D9", "D11")
def test_asked_while_they_start(life: Life) -> None:
    """Nothing starts after that, and they are left."""
    shop = Registry("shop")
    part(shop, "database")

    @asynccontextmanager
    async def asking(system: System) -> AsyncIterator[None]:
        system.shut_down("asked")
        await anyio.sleep(1)
        yield

    lived = life.live(shop, companions=[asking, companion(life)], observers=[life.observe])

    assert lived.error is not None
    assert "asked" in str(lived.error)
    assert "database starts" not in life.words
    assert "probe is out" in life.words


@pytest.mark.rule("D9")
def test_they_may_use_the_system(life: Life) -> None:
    """`ready` waits for the gate, and `closed` for the end of what is not theirs."""
    shop = Registry("shop")
    database = part(shop, "database", start=1)

    @asynccontextmanager
    async def curious(system: System) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(look, system)
            yield
            group.cancel_scope.cancel()

    async def look(system: System) -> None:
        life.note(await system.ready(database))
        await system.wait_draining()
        life.note("draining")

    async def body(system: System) -> None:
        await anyio.sleep(2)
        await asked(system)

    assert life.live(shop, body, companions=[curious]).error is None
    assert ["1 database", "3 draining"] == life.log
