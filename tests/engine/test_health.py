"""Checks: asked on behalf of probes, shared, bounded, and never while a system starts or ends."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from lifecycle import Lifetime, Registry, Settings, System
from lifecycle.errors import UnknownComponentError
from tests.engine.parts import asked, fail, forever, ignoring, part, summary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from lifecycle.report import CheckResult
    from tests.engine.kit import Life

SETTINGS = Settings(check_timeout=1, check_ttl=5)


def said(answers: Mapping[str, tuple[CheckResult, ...]]) -> dict[str, list[str | None]]:
    """What each component's checks found wrong."""
    return {name: [result.error for result in results] for name, results in answers.items()}


@pytest.mark.rule("P3")
def test_a_check_fails_by_raising_by_returning_false_and_by_taking_too_long(life: Life) -> None:
    """Nothing else does: None is as good as True."""
    shop = Registry("shop")
    for name, check in {
        "fine": lambda: None,
        "true": lambda: True,
        "raises": fail,
        "says no": lambda: False,
        "takes long": forever,
    }.items():

        async def ask(_: str, check: Any = check) -> object:
            result = check()
            return await result if hasattr(result, "__await__") else result

        part(shop, name).check(ask)

    async def body(system: System) -> tuple[Any, float]:
        began = life.now()
        return said(await system.check()), life.now() - began

    assert (
        {
            "fine": [None],
            "true": [None],
            "raises": ["ValueError"],
            "says no": ["returned False"],
            "takes long": ["timeout"],
        },
        1,
    ) == life.live(shop, body, SETTINGS).result


@pytest.mark.rule("P3")
def test_concurrent_askers_share_one_run(life: Life) -> None:
    """And so do those who come while its answer is still good."""
    shop, runs = Registry("shop"), []
    database = part(shop, "database")

    @database.check
    async def _(_: str) -> None:
        runs.append(life.now())
        await anyio.sleep(0.5)

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(system.check)
        await anyio.sleep(4.9)
        await system.check()
        await anyio.sleep(0.2)
        await system.check()

    life.live(shop, body, SETTINGS)
    assert [0, 5.6] == pytest.approx(runs)


@pytest.mark.rule("P3")
def test_while_a_check_is_stuck_no_second_is_started(life: Life) -> None:
    """Everyone is told at once that it is, and since when; when it has ended it is asked again."""
    shop, runs = Registry("shop"), []
    database = part(shop, "database")

    @database.check
    async def _(_: str) -> None:
        runs.append(life.now())
        if len(runs) == 1:
            await ignoring(20)()

    async def body(system: System) -> list[Any]:
        answers = [await system.check()]
        await anyio.sleep(9)
        answers.append(await system.check())
        assert 10 == life.now()
        await anyio.sleep(11)
        answers.append(await system.check())
        return [(a["database"][0].error, a["database"][0].duration) for a in answers]

    lived = life.live(shop, body, SETTINGS)
    assert [("timeout", 1), ("timeout", 10), (None, 0)] == lived.result
    assert [0, 21] == runs
    assert lived.report is not None
    assert "clean" == lived.report.outcome


@pytest.mark.rule("P3")
def test_outside_running_no_check_runs(life: Life) -> None:
    """What was known before is what is answered: in the start nothing, in the end the last."""
    shop, runs = Registry("shop"), []
    database = part(shop, "database", drain=1)

    @database.check
    async def _(_: str) -> None:
        runs.append(life.now())

    async def late(life: Lifetime) -> None:
        assert {"database": []} == said(await life.system.check())
        life.started()
        await life.wait_draining()
        assert {"database": [None]} == said(await life.system.check())

    shop.service(late, after=[database])
    life.live(shop, lambda system: system.check(), Settings(check_ttl=0))
    assert [0] == runs


def test_a_check_that_runs_at_the_shutdown_is_cancelled(life: Life) -> None:
    """Nobody asks any more; who has asked is answered with what was known."""
    shop = Registry("shop")
    database = part(shop, "database")

    @database.check
    async def _(_: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            life.note("the check was cancelled")

    answers: list[Any] = []

    async def body(system: System) -> Any:
        async def ask() -> None:
            answers.append(said(await system.check()))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.sleep(0.5)
            system.shut_down()
        return answers[0]

    assert {"database": []} == life.live(shop, body, SETTINGS).result
    assert ["0.5 the check was cancelled"] == life.log


@pytest.mark.rule("P4")
def test_who_asks_first_during_the_shutdown_does_not_hold_it_up(life: Life) -> None:
    """No check is run for him, and so there is none to wait for."""
    shop = Registry("shop")
    database = part(shop, "database")
    database.check(lambda _: None)

    async def body(system: System) -> Any:
        system.shut_down()
        return await system.check()

    lived = life.live(shop, body, Settings(drain_delay=1))
    assert {"database": ()} == lived.result
    assert lived.report is not None


@pytest.mark.rule("D8")
def test_a_check_that_ignores_its_end_is_abandoned_and_named(life: Life) -> None:
    """It holds nobody up: the report is complete without it, and says where it was."""
    shop = Registry("shop")
    database = part(shop, "database")

    @database.check
    async def _(_: str) -> None:
        await ignoring(100)()

    async def body(system: System) -> Any:
        await system.check()
        system.shut_down()
        report = await system.closed()
        return round(life.now(), 3), [(a.component, a.hook) for a in report.abandoned]

    lived = life.live(shop, body, Settings(check_timeout=1))
    assert (1.5, [("database", "check")]) == lived.result
    assert ["StopError: the check hook of 'database'"] == [e[:39] for e in lived.errors]


@pytest.mark.rule("D8")
@pytest.mark.parametrize("runs_before", [0, 1, 2])
def test_a_check_that_ignores_the_shutdown_is_abandoned(life: Life, runs_before: int) -> None:
    """Whether or not it had ended well before, and while somebody still waits for its answer."""
    shop, runs = Registry("shop"), []
    database = part(shop, "database")

    @database.check
    async def _(_: str) -> None:
        runs.append(life.now())
        if len(runs) > runs_before:
            await ignoring(100)()

    async def body(system: System) -> Any:
        for _ in range(runs_before):
            await system.check()
        async with anyio.create_task_group() as group:
            group.start_soon(system.check)
            await anyio.sleep(1)
            system.shut_down()
            report = await system.closed()
            return round(life.now(), 3), [(a.component, a.hook) for a in report.abandoned]

    lived = life.live(shop, body, Settings(check_timeout=10, check_ttl=0))
    assert (1.5, [("database", "check")]) == lived.result
    assert ("incomplete", 75, ["StopError"]) == summary(lived)


@pytest.mark.rule("P3")
def test_who_asks_again_does_not_make_the_first_wait_longer(life: Life) -> None:
    """Each waits for the runs that went on as he asked: for a check's timeout at the most."""
    shop, runs = Registry("shop"), []
    slow, stuck = part(shop, "slow"), part(shop, "stuck")
    slow.check(lambda _: anyio.sleep(0.7))

    @stuck.check
    async def _(_: str) -> None:
        runs.append(life.now())
        if len(runs) > 1:
            await forever()

    async def body(system: System) -> None:
        async def ask(at: float) -> None:
            await anyio.sleep(at)
            answers = said(await system.check())
            life.note(f"asked at {at:g}: {answers['stuck']}")

        async with anyio.create_task_group() as group:
            group.start_soon(ask, 0)
            group.start_soon(ask, 0.6)

    life.live(shop, body, Settings(check_timeout=0.8, check_ttl=0))
    assert ["0.7 asked at 0: [None]", "1.4 asked at 0.6: ['timeout']"] == life.log


def test_checks_are_liveness_or_readiness(life: Life) -> None:
    """Who asks says which."""
    shop = Registry("shop")
    database = part(shop, "database")
    database.check(lambda _: True)
    database.check(liveness=True)(lambda _: False)

    async def body(system: System) -> Any:
        return [
            said(await system.check(liveness=liveness))["database"]
            for liveness in (None, True, False)
        ]

    assert [[None, "returned False"], ["returned False"], [None]] == life.live(shop, body).result


def test_an_object_brings_its_own_check(life: Life) -> None:
    """A method `check` is asked, unless a check was given."""

    class Client:
        def start(self) -> None: ...

        def check(self) -> bool:
            return False

    shop = Registry("shop")
    shop.add(Client(), name="own")
    shop.build(lambda: Client(), name="built")  # noqa: PLW0108  a class would be its own life
    shop.add(Client(), name="given", check=lambda: True)

    async def body(system: System) -> Any:
        return said(await system.check())

    expected = {"own": ["returned False"], "built": ["returned False"], "given": [None]}
    assert expected == life.live(shop, body).result


@pytest.mark.rule("K4")
def test_a_sync_check_runs_in_the_components_thread(life: Life) -> None:
    """A connection belongs to the thread that opened it; a value has a thread for the check."""
    shop, threads = Registry("shop"), dict[str, Any]()

    @shop.component
    def database() -> Iterator[str]:
        threads["start"] = threading.get_ident()
        yield "value"

    @database.check
    def _(_: str) -> None:
        threads["check"] = threading.get_ident()

    @shop.component
    def config() -> str:
        return "value"

    @config.check
    def _(_: str) -> None:
        threads["other"] = threading.get_ident()

    async def body(system: System) -> Any:
        first = said(await system.check())
        return first, said(await system.check())

    good: dict[str, list[None]] = {"config": [None], "database": [None]}
    assert (good, good) == life.live(shop, body, Settings(check_ttl=0)).result
    assert threads["start"] == threads["check"]
    assert threads["other"] not in (threading.get_ident(), threads["start"])


@pytest.mark.rule("K3")
def test_a_check_sees_what_the_start_has_set(life: Life) -> None:
    """Context variables of the component's start, and its lifetime."""
    shop = Registry("shop")
    variable: ContextVar[str] = ContextVar("variable", default="nothing")

    def set_variable() -> None:
        variable.set("set")

    database = part(shop, "database", start=set_variable)

    @database.check
    async def _(_: str) -> bool:
        return (variable.get(), Lifetime.current().name) == ("set", "database")

    async def body(system: System) -> Any:
        return said(await system.check())

    assert {"database": [None]} == life.live(shop, body).result


def test_a_change_of_health_is_an_event(life: Life) -> None:
    """Once when it begins to fail, and once when it passes again."""
    shop = Registry("shop")
    database = part(shop, "database")
    answers = iter([True, False, False, True])

    @database.check
    async def ping(_: str) -> bool:
        return next(answers)

    async def body(system: System) -> None:
        for _ in range(4):
            await system.check()
            await anyio.sleep(1)

    life.live(shop, body, Settings(check_ttl=0), observers=[life.observe])
    assert ["1 ping of database says: returned False", "3 ping of database says: None"] == [
        line for line in life.log if "says" in line
    ]


def test_who_asks_an_unknown_component_is_told(life: Life) -> None:
    """By name or by handle."""
    stranger = part(Registry("other"), "stranger")

    async def body(system: System) -> None:
        for component in (stranger, "stranger"):
            with pytest.raises(UnknownComponentError, match="'stranger'"):
                await system.check(component)

    life.live(Registry("shop"), body)


# --- following the status ------------------------------------------------------------------------


def test_changes_gives_the_status_of_now_and_of_each_change(life: Life) -> None:
    """From the first one that is awaited to the closed system; what is missed is left out."""
    shop = Registry("shop")
    part(shop, "database", start=1, stop=1)
    seen: list[tuple[float, str, str]] = []

    async def follow(system: System) -> None:
        async for status in system.changes():
            note = str(status.phase), str(status.components["database"].state)
            seen.append((life.now(), *note))

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(follow, system)
            await anyio.sleep(1)
            await asked(system)

    life.live(shop, body)
    assert [
        (1, "running", "ready"),
        (2, "closing", "stopping"),
        (3, "closed", "stopped"),
    ] == seen


def test_changes_that_nobody_awaits_leave_nothing_behind(life: Life) -> None:
    """It may be left in the middle."""

    async def body(system: System) -> str:
        async for status in system.changes():
            return str(status.phase)
        return "never"

    assert "running" == life.live(Registry("shop"), body).result


def test_who_follows_a_large_system_does_not_hold_it_up(life: Life) -> None:
    """A look at all of it for each of its changes would be quadratic."""
    shop, looks = Registry("shop"), list[float]()
    for number in range(2000):
        part(shop, f"part {number}")

    @asynccontextmanager
    async def follower(system: System) -> AsyncIterator[None]:
        async def follow() -> None:
            async for _ in system.changes():
                looks.append(life.now())

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            yield

    assert life.live(shop, companions=[follower]).error is None
    assert len(looks) < 20
