"""Crashes at awkward moments of a shutdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle import Lifetime, Registry, Settings, System, requires
from lifecycle.errors import CrashedError, StartError
from tests.engine.parts import asked, end, fail, forever, part, summary, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle import Component
    from tests.engine.kit import Life


def crashing(
    life: Life, shop: Registry, name: str, at: float, *, drain: float | None = None
) -> Component[str]:
    """Declare what holds a group open across its yield, in which a task fails at some time."""

    async def crash() -> None:
        await anyio.sleep(at - life.now())
        fail(f"{name} crashed")

    async def function() -> AsyncIterator[str]:
        async with anyio.create_task_group() as group:
            group.start_soon(crash)
            yield name
            life.note(f"{name}.stop")
            group.cancel_scope.cancel()

    component = shop.component(function, name=name)
    if drain is not None:

        @component.drain
        async def _(_: str) -> None:
            life.note(f"{name}.drain")
            await anyio.sleep(drain)

    return component


@pytest.mark.rule("R1")
def test_in_the_moment_of_the_request(life: Life) -> None:
    """Who is first counts; either way its drain is skipped, and all else goes on in order."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1, stop=1)

    @shop.component
    async def jobs(_: str = requires(database)) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(crash)
            yield

    async def crash() -> None:
        await anyio.sleep(1)
        fail()

    async def body(system: System) -> None:
        await anyio.sleep(1)
        system.shut_down("asked")
        await system.closed()

    lived = life.live(shop, body, observers=[life.observe])

    assert lived.report is not None
    assert str(lived.report.outcome) in {"crashed", "incomplete"}
    assert ["CrashedError"] == summary(lived)[2]
    assert end(life)[-1].startswith("3 closed: ")


@pytest.mark.rule("R1")
@pytest.mark.parametrize("own", [1.0, 0.999, 1.001])
def test_in_the_moment_in_which_it_is_asked_to_drain(life: Life, own: float) -> None:
    """What has crashed is not asked to drain, or its drain is not waited for."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1, stop=1)
    jobs = crashing(life, shop, "jobs", own, drain=50)
    part(shop, "web", drain=1, after=jobs)
    part(shop, "other", after=database)

    lived = life.live(shop, asked, observers=[life.observe])

    assert ("incomplete", 75) == summary(lived)[:2]
    assert isinstance(lived.error, CrashedError)
    assert lived.errors[0].startswith("CrashedError: 'jobs' crashed")
    closed = float(next(line for line in life.log if "closed:" in line).split()[0])
    assert closed <= 2.1


@pytest.mark.rule("R1")
def test_while_it_drains(life: Life) -> None:
    """Its drain is over, and what it uses drains; its cause is known after its stop."""
    shop = Registry("shop")
    jobs = crashing(life, shop, "jobs", 2, drain=5)
    part(shop, "web", drain=4, after=jobs)
    part(shop, "database")

    lived = life.live(shop, asked, observers=[life.observe])

    # `jobs` crashed while `web` drained: it has nothing to wait for afterwards.
    assert "jobs.drain" not in life.words
    assert "4 = closing" in life.log
    assert ["CrashedError"] == summary(lived)[2]
    assert lived.error is not None
    assert isinstance(lived.error.__cause__, ValueError)


@pytest.mark.rule("R1")
def test_in_the_middle_of_its_drain(life: Life) -> None:
    """The hook is cancelled with its group, and not waited for."""
    shop = Registry("shop")
    database = part(shop, "database", drain=1)
    crashing(life, shop, "jobs", 2, drain=5)
    part(shop, "other", after=database, drain=1)

    lived = life.live(shop, asked, observers=[life.observe])

    assert "0 jobs.drain" in life.log
    assert "2 = closing" in life.log
    assert ("incomplete", 75, ["CrashedError"]) == summary(lived)


@pytest.mark.rule("R1")
def test_while_others_are_stopped(life: Life) -> None:
    """It is stopped in its turn, and the crash is told."""
    shop = Registry("shop")
    jobs = crashing(life, shop, "jobs", 2)
    part(shop, "web", stop=5, after=jobs)

    lived = life.live(shop, asked, observers=[life.observe])

    assert "2 jobs crashed" in [line.partition(":")[0] for line in life.log]
    assert "5 jobs stops" in life.log
    assert ("incomplete", 75, ["CrashedError"]) == summary(lived)


@pytest.mark.rule("R1")
def test_in_its_stop(life: Life) -> None:
    """A group that fails while it is left is a stop that failed."""
    shop = Registry("shop")

    @shop.component
    async def jobs() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            yield
            group.start_soon(crash)

    async def crash() -> None:
        await anyio.sleep(1)
        fail("in its stop")

    lived = life.live(shop, asked)

    assert ("incomplete", 75, ["StopError"]) == summary(lived)


@pytest.mark.rule("R1", "S3")
def test_during_a_rollback(life: Life) -> None:
    """The failed start stays the first cause."""
    shop = Registry("shop")
    jobs = crashing(life, shop, "jobs", 2)
    part(shop, "broken", start=fail)
    part(shop, "web", stop=5, wants=jobs)

    lived = life.live(shop, waiting)

    assert isinstance(lived.error, StartError)
    assert lived.error.report is not None
    assert "start failed" == lived.error.report.outcome


@pytest.mark.rule("R1", "D1")
def test_ends_the_delay(life: Life) -> None:
    """What works no longer serves nobody; the reason stays, and clean becomes incomplete."""
    shop = Registry("shop")
    crashing(life, shop, "jobs", 2)
    part(shop, "web", drain=1)

    lived = life.live(shop, asked, Settings(drain_delay=9), observers=[life.observe])

    assert "2 = draining" in life.log
    assert lived.report is not None
    assert ("asked", "incomplete") == (lived.report.reason, str(lived.report.outcome))


@pytest.mark.rule("R1", "R4")
def test_while_the_body_waits_for_something_in_vain(life: Life) -> None:
    """A crash wakes it, though nobody asked for anything."""
    shop = Registry("shop")
    crashing(life, shop, "jobs", 2)

    async def body(system: System) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            life.note("woken")

    lived = life.live(shop, body)

    assert ["2 woken", "2 jobs.stop"][:1] == life.log[:1]
    assert ("crashed", 70, ["CrashedError"]) == summary(lived)


@pytest.mark.rule("R1")
def test_everything_crashes_at_once(life: Life) -> None:
    """All are told, each once, in order; each is stopped."""
    shop = Registry("shop")
    for number in range(5):
        crashing(life, shop, f"c{number}", 1, drain=1)

    lived = life.live(shop, waiting)

    assert ("crashed", 70, ["CrashedError"] * 5) == summary(lived)
    assert {f"c{number}" for number in range(5)} == {
        error.component
        for error in (lived.report.errors if lived.report is not None else ())
        if isinstance(error, CrashedError)
    }


@pytest.mark.rule("R1")
def test_an_optional_one_that_has_crashed_still_ends_in_its_turn(life: Life) -> None:
    """It is not drained, and stopped when what uses it has been."""
    shop = Registry("shop")

    @shop.service(optional=True)
    async def metrics(own: Lifetime) -> None:
        own.started()
        await anyio.sleep(1)
        fail()

    part(shop, "web", drain=1, stop=1, wants=metrics)

    async def body(system: System) -> None:
        await anyio.sleep(2)
        assert system.status().ready
        await asked(system)

    lived = life.live(shop, body, observers=[life.observe])

    assert lived.error is None
    assert ("clean", 0, []) == summary(lived)
    assert ["4 metrics stops", "4 metrics stopped"] == [
        line for line in end(life) if "metrics stop" in line
    ]
    assert lived.report is not None
    assert isinstance(lived.report.components["metrics"].error, CrashedError)


@pytest.mark.rule("R1", "D8")
def test_one_that_does_not_end_after_its_crash(life: Life) -> None:
    """Its cleanup has the time of its stop."""
    shop = Registry("shop")

    @shop.component(stop_timeout=2)
    async def jobs() -> AsyncIterator[None]:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(crash)
                yield
        finally:
            await forever()

    async def crash() -> None:
        await anyio.sleep(1)
        fail()

    lived = life.live(shop, waiting, observers=[life.observe])

    assert "3 closed: crashed, 70" == end(life)[-1]
    assert "CrashedError" == summary(lived)[2][0]


@pytest.mark.rule("P5")
def test_the_status_names_the_error_and_not_the_group(life: Life) -> None:
    """What a task group raised is told by the type of what failed in it, alone: that says more."""
    shop = Registry("shop")

    @shop.service
    async def jobs(own: Lifetime) -> None:
        async def broken() -> None:
            fail()

        own.started()
        async with anyio.create_task_group() as group:
            group.start_soon(broken)

    lived = life.live(shop, System.closed)

    assert lived.system is not None
    status = lived.system.status()
    assert ("ValueError", "ValueError") == (status.error, status.components["jobs"].error)
