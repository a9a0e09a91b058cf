"""What a probe is told, whatever carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from lifecycle import Lifetime, Registry, Settings, System
from lifecycle.probes import Answer, Probe, ask, shown
from lifecycle.states import Phase
from tests.engine.kit import Life, Spy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROBES: tuple[Probe, ...] = ("health", "ready", "startup")
SECRET = "postgres://shop:hunter2@db"  # noqa: S105  what must not get out


class SecretError(Exception):
    """What users raise: its type may be known, its text not."""

    def __init__(self) -> None:
        super().__init__(SECRET)


async def verdicts(system: System, *components: str) -> str:
    """The probes that are ok, and the phase."""
    answers = {probe: await ask(system, probe, components) for probe in PROBES}
    phases = {answer.phase for answer in answers.values()}
    (phase,) = phases
    return " ".join([f"{phase}:", *(probe for probe in PROBES if answers[probe].ok)])


async def note(life: Life) -> None:
    """Write into the transcript what the probes say, from within a hook."""
    life.note(await verdicts(Lifetime[Any].current().system))


def shop_of(life: Life) -> Registry:
    """A system of one component, which asks in each of its hooks."""
    shop = Registry("shop")

    @shop.component
    async def database() -> AsyncIterator[str]:
        await note(life)
        yield "database"
        await note(life)

    @database.drain
    async def _(_: str) -> None:
        await note(life)

    return shop


# --- in which phase ------------------------------------------------------------------------------


@pytest.mark.rule("P1")
def test_each_phase_has_its_answers(life: Life) -> None:
    """Healthy always, ready only while it runs, started from then on."""
    spy, shop = Spy(), shop_of(life)

    @shop.preflight
    async def check() -> None:
        life.note(await verdicts(spy.system))

    async def body(system: System) -> None:
        life.note(await verdicts(system))
        system.shut_down("deploy")
        await anyio.sleep(0.5)
        life.note(await verdicts(system))
        await system.closed()
        life.note(await verdicts(system))

    life.live(shop, body, Settings(drain_delay=1), companions=[spy])

    assert [
        "preflight: health",
        "starting: health",
        "running: health ready startup",
        "delaying: health startup",
        "draining: health startup",
        "closing: health startup",
        "closed: health startup",
    ] == life.words


@pytest.mark.rule("P1")
def test_a_start_that_failed_was_never_done(life: Life) -> None:
    """While it is rolled back the system is healthy: a 503 would invite the kill."""
    spy, shop = Spy(), shop_of(life)

    @shop.component(after=["database"])
    async def web() -> None:
        raise SecretError

    life.live(shop, companions=[spy])
    assert [
        "starting: health",
        "rolling back: health",
        "rolling back: health",
    ] == life.words
    life.run(lambda: closed(life, spy))
    assert "closed: health" == life.words[-1]


async def closed(life: Life, spy: Spy) -> None:
    """Ask when it is over."""
    life.note(await verdicts(spy.system))


@pytest.mark.rule("P1")
def test_a_shutdown_during_the_start_leaves_it_undone(life: Life) -> None:
    """What was started drains, and the start was not done."""
    spy, shop = Spy(), shop_of(life)

    @shop.component(after=["database"])
    async def web() -> None:
        spy.system.shut_down("deploy")
        await anyio.sleep(1)

    life.live(shop, companions=[spy])

    assert ["starting: health", "draining: health", "closing: health"] == life.words


@pytest.mark.rule("P1")
def test_readiness_is_off_the_moment_a_shutdown_is_asked_for(life: Life) -> None:
    """Before anything else has happened: the phase is still the old one."""

    async def body(system: System) -> Answer:
        assert (await ask(system, "ready")).ok
        system.shut_down("deploy")
        return await ask(system, "ready")

    answer = life.live(Registry("shop"), body, Settings(drain_delay=1)).result

    assert (False, "deploy") == (answer.ok, answer.reason)


@pytest.mark.rule("P1")
def test_a_shutdown_while_a_check_runs_is_in_the_answer(life: Life) -> None:
    """What counts is how things stand when the answer is given, not when it was asked for."""
    shop = Registry("shop")
    database = shop.value("database", name="database")

    @database.check
    async def _(_: str) -> None:
        await anyio.sleep(0.5)

    async def body(system: System) -> Answer:
        answers: list[Answer] = []

        async def probe() -> None:
            answers.append(await ask(system, "ready"))

        async with anyio.create_task_group() as group:
            group.start_soon(probe)
            await anyio.sleep(0.25)
            system.shut_down("deploy")
        return answers[0]

    answer = life.live(shop, body, Settings(drain_delay=1)).result

    assert (False, "deploy") == (answer.ok, answer.reason)


@pytest.mark.rule("P1")
def test_who_is_unavailable_is_not_ready(life: Life) -> None:
    """One that is not optional takes the service out of rotation and back, and says why."""
    shop = Registry("shop")

    @shop.service
    async def broker(life: Lifetime) -> None:
        life.started()
        life.unavailable("broker lost")
        await anyio.sleep(1)
        life.available()
        await life.wait_draining()

    @shop.service(optional=True)
    async def cache(life: Lifetime) -> None:
        life.started()
        life.unavailable("cache lost")
        await life.wait_draining()

    async def body(system: System) -> None:
        answer = await ask(system, "ready")
        assert "broker lost" == answer.components["broker"].unavailable
        life.note(await verdicts(system))
        life.note(await verdicts(system, "cache"))
        await anyio.sleep(2)
        life.note(await verdicts(system))
        life.note(await verdicts(system, "cache"))

    life.live(shop, body)

    assert [
        "running: health startup",
        "running: health startup",
        "running: health ready startup",
        "running: health startup",
    ] == life.words


# --- checks --------------------------------------------------------------------------------------


def checked(*, liveness: bool = False, optional: bool = False, how: str = "raises") -> Registry:
    """A component that is in order but for its check, and another one."""
    shop = Registry("shop")
    cache = shop.component(name="cache", optional=optional)(lambda: "cache")
    shop.value("other", name="other")

    @cache.check(liveness=liveness)
    async def _(_: str) -> bool:
        if how == "raises":
            raise SecretError
        if how == "hangs":
            await anyio.sleep_forever()
        return how == "passes"

    return shop


@pytest.mark.rule("P1", "P3")
@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("raises", "SecretError"),
        ("hangs", "timeout"),
        ("returns False", "returned False"),
        ("passes", None),
    ],
)
def test_a_check_that_fails_is_not_ready(life: Life, how: str, error: str | None) -> None:
    """Whether it raises, returns False, or takes too long; the process can still work."""

    async def body(system: System) -> str:
        words = await verdicts(system)
        (check,) = (await ask(system, "ready")).components["cache"].checks
        assert (error is None, error) == (check.ok, check.error)
        return words

    ready = "" if error else "ready "
    assert f"running: health {ready}startup" == life.live(checked(how=how), body).result


@pytest.mark.rule("P1")
@pytest.mark.parametrize("how", ["raises", "hangs", "returns False"])
def test_a_liveness_check_that_fails_is_neither_healthy_nor_ready(life: Life, how: str) -> None:
    """It says that the process can do no work any more."""
    shop = checked(liveness=True, how=how)

    assert "running: startup" == life.live(shop, verdicts).result


@pytest.mark.rule("P1")
def test_a_liveness_check_does_not_count_once_the_system_shuts_down(life: Life) -> None:
    """It is not asked any more; what it said last would have the drain killed all the same."""

    async def body(system: System) -> str:
        assert not (await ask(system, "health")).ok
        system.shut_down("deploy")
        await anyio.sleep(0.5)
        return await verdicts(system)

    shop = checked(liveness=True)
    assert "delaying: health startup" == life.live(shop, body, Settings(drain_delay=1)).result


@pytest.mark.rule("P3")
@pytest.mark.parametrize("liveness", [False, True], ids=["readiness", "liveness"])
def test_the_check_of_an_optional_component_is_shown_and_does_not_count(
    life: Life, *, liveness: bool
) -> None:
    """The system can do without it."""

    async def body(system: System) -> str:
        (check,) = (await ask(system, "ready")).components["cache"].checks
        assert not check.ok
        return await verdicts(system)

    shop = checked(optional=True, liveness=liveness)
    assert "running: health ready startup" == life.live(shop, body).result


def test_health_asks_only_what_concerns_it(life: Life) -> None:
    """A check that is no liveness check costs the probe of liveness nothing."""
    asked: list[str] = []
    shop = Registry("shop")
    database = shop.value("database", name="database")

    @database.check
    async def _(_: str) -> None:
        asked.append("readiness")

    @database.check(liveness=True)
    async def _(_: str) -> None:
        asked.append("liveness")

    async def body(system: System) -> None:
        await ask(system, "startup")
        assert [] == asked
        await ask(system, "health")
        assert ["liveness"] == asked
        await ask(system, "ready")

    life.live(shop, body)
    assert {"liveness", "readiness"} == set(asked)


# --- of whom -------------------------------------------------------------------------------------


@pytest.mark.rule("P2")
def test_who_is_asked_by_name_is_the_only_one_that_counts(life: Life) -> None:
    """And counts even if it is optional: who asks for it wants to know."""

    async def body(system: System) -> list[str]:
        asked = [("cache",), ("other",), ("other", "cache"), ("other", "other")]
        return [await verdicts(system, *names) for names in asked]

    found = life.live(checked(optional=True), body).result

    assert [
        "running: health startup",
        "running: health ready startup",
        "running: health startup",
        "running: health ready startup",
    ] == found


@pytest.mark.rule("P2")
def test_the_answer_has_those_that_were_asked_for(life: Life) -> None:
    """All, if nobody was."""

    async def body(system: System) -> None:
        assert ["cache", "other"] == sorted((await ask(system, "ready")).components)
        assert ["other"] == list((await ask(system, "ready", ["other"])).components)

    life.live(checked(), body)


@pytest.mark.rule("P2")
@pytest.mark.parametrize("probe", PROBES)
def test_an_unknown_name_is_never_ok(life: Life, probe: Probe) -> None:
    """Not even beside one that is known; and no check is asked for it."""

    async def body(system: System) -> Answer:
        return await ask(system, probe, ["other", "databse", "other", "databse"])

    answer = life.live(checked(how="hangs"), body).result

    assert (False, ("databse",), ["other"]) == (
        answer.ok,
        answer.unknown,
        list(answer.components),
    )


@pytest.mark.rule("P1")
def test_one_component_has_started_when_it_is_ready_or_all_have(life: Life) -> None:
    """Those that still start do not keep it waiting."""
    shop = Registry("shop")
    shop.value("database", name="database")

    @shop.component
    async def web() -> None:
        system = Lifetime[Any].current().system
        assert (await ask(system, "startup", ["database"])).ok
        assert not (await ask(system, "startup", ["database", "web"])).ok
        assert not (await ask(system, "ready", ["database"])).ok

    async def body(system: System) -> bool:
        return (await ask(system, "startup", ["database", "web"])).ok

    assert life.live(shop, body).result is True


def test_there_are_three_probes(life: Life) -> None:
    """Another one is a slip of whoever asks."""

    async def body(system: System) -> None:
        await ask(system, cast("Probe", "alive"))

    error = life.live(Registry("shop"), body).error
    assert "probe is 'alive', but must be 'health', 'ready' or 'startup'" == str(error)


# --- what is not said ----------------------------------------------------------------------------


@pytest.mark.rule("P5")
@pytest.mark.parametrize("details", [False, True], ids=["bare", "with details"])
def test_the_message_of_a_check_is_not_said(life: Life, *, details: bool) -> None:
    """Unless the settings ask for it: only the type of what it raised."""

    async def body(system: System) -> str:
        answers = [await ask(system, probe) for probe in PROBES]
        return repr([answers, shown(system)])

    said = life.live(checked(), body, Settings(probe_details=details)).result

    assert details == (SECRET in said)
    assert "SecretError" in said


def starts_badly(shop: Registry) -> None:
    """A component does not start."""

    @shop.component(after=["first"])
    async def web() -> None:
        raise SecretError


def crashes(shop: Registry) -> None:
    """A component crashes."""

    @shop.service
    async def web(life: Lifetime) -> None:
        life.started()
        raise SecretError


def exits(shop: Registry) -> None:
    """A component leaves with a message in place of a code."""

    @shop.service
    async def web(life: Lifetime) -> None:
        life.started()
        raise SystemExit(SECRET)


def fails_preflight(shop: Registry) -> None:
    """A preflight check does not pass."""

    @shop.preflight
    async def check() -> None:
        raise SecretError


@pytest.mark.rule("P5")
@pytest.mark.parametrize("details", [False, True], ids=["bare", "with details"])
@pytest.mark.parametrize("fault", [starts_badly, crashes, exits, fails_preflight])
def test_the_message_of_what_ended_the_system_is_not_said(
    life: Life, fault: Any, *, details: bool
) -> None:
    """Only its type is, in every phase from then on."""
    spy, said = Spy(), list[str]()
    shop = Registry("shop")

    @shop.component
    async def first() -> AsyncIterator[None]:
        yield
        said.append(repr([[await ask(spy.system, probe) for probe in PROBES], shown(spy.system)]))

    fault(shop)

    async def body(system: System) -> None:
        await system.closed()

    async def over() -> None:
        said.append(repr([[await ask(spy.system, probe) for probe in PROBES], shown(spy.system)]))

    life.live(shop, body, Settings(probe_details=details), companions=[spy])
    life.run(over)

    assert [details] * len(said) == [SECRET in one for one in said]
    expected = "SystemExit" if fault is exits else "SecretError"
    assert all(expected in one for one in said)
    assert len(said) == (1 if fault is fails_preflight else 2)


@pytest.mark.rule("P5")
def test_the_words_of_who_asked_are_said(life: Life) -> None:
    """A reason that was given for people is for these people, too."""

    async def body(system: System) -> str | None:
        system.shut_down("deploy")
        return (await ask(system, "ready")).reason

    assert "deploy" == life.live(Registry("shop"), body).result


@pytest.mark.rule("P5")
def test_the_error_of_the_body_is_not_said(life: Life) -> None:
    """It is a reason to shut down like any other."""
    said: list[str | None] = []
    shop = Registry("shop")

    @shop.component
    async def web() -> AsyncIterator[None]:
        yield
        said.append((await ask(Lifetime[Any].current().system, "ready")).reason)

    async def body(system: System) -> None:
        assert Phase.RUNNING is system.status().phase
        raise SecretError

    life.live(shop, body)
    assert ["something failed: SecretError"] == said
