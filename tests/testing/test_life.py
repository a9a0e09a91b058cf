"""`testing.running` and `testing.live`: a system under test, its transcript, simulated signals."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import (
    Lifetime,
    Limits,
    Outcome,
    Registry,
    Settings,
    System,
    requires,
    testing,
)
from lifecycle.errors import DefinitionError, RunError, StartError, UnknownComponentError
from lifecycle.testing import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def shop(drain: float = 2) -> Registry:
    """Declare a database, and jobs that drain."""
    registry = Registry("shop")

    @registry.component
    async def database() -> AsyncIterator[str]:
        await anyio.sleep(1.5)
        yield "database"

    @registry.component
    async def jobs(database: str = requires(database)) -> AsyncIterator[str]:
        yield "jobs"

    @jobs.drain
    async def _(_: str) -> None:
        await anyio.sleep(drain)

    return registry


@BACKENDS
def test_a_transcript_is_compared_whole(backend: Any) -> None:
    """Every event with its virtual time, signals included, and notes of one's own."""
    life = testing.running(shop(drain=20), Settings(grace_period=30, drain_delay=2))

    async def script() -> None:
        async with life as system:
            await anyio.sleep(3600)
            life.transcript.note("an hour later")
            system.signal(signal.SIGTERM)
            await anyio.sleep(1)
            system.signal(signal.SIGTERM)
            await system.closed()

    testing.run(script, backend=backend)
    assert (
        life.transcript
        == """
        0 = starting
        0 database starts
        1.5 database started
        1.5 jobs starts
        1.5 jobs started
        1.5 = running
        3601.5 an hour later
        3601.5 asked to shut down: received SIGTERM
        3601.5 = delaying
        3603.5 = draining
        3603.5 jobs drains
        3623.5 jobs drained
        3623.5 database drains
        3623.5 database drained
        3623.5 = closing
        3623.5 jobs stops
        3623.5 jobs stopped
        3623.5 database stops
        3623.5 database stopped
        3623.5 = closed
        3623.5 closed: clean, 0
        """
    )
    assert life.report is not None
    assert Outcome.CLEAN is life.report.outcome
    assert () == life.leftovers


@BACKENDS
def test_signals_go_through_the_policy_of_run(backend: Any) -> None:
    """A second interrupt forces the end, as it would for a process."""

    async def script() -> testing.Life:
        life = testing.running(shop())
        with contextlib.suppress(RunError):
            async with life as system:
                system.signal(signal.SIGINT)
                await anyio.sleep(1)
                system.signal(signal.SIGINT)
                await system.closed()
        return life

    life = testing.run(script, backend=backend)
    assert life.report is not None
    assert (Outcome.FORCED, 130) == (life.report.outcome, life.report.exit_code)


@BACKENDS
def test_what_a_failed_start_was_is_known(backend: Any) -> None:
    """The error is raised, and stays with the report and the transcript."""

    async def script() -> testing.Life:
        life = testing.running(shop(), faults=[faults.fail("jobs", at="start")])
        with pytest.raises(StartError, match="InjectedError: the start of 'jobs' fails"):
            async with life:
                pass
        return life

    life = testing.run(script, backend=backend)
    assert isinstance(life.error, StartError)
    assert life.system is not None
    assert life.report is not None
    assert Outcome.START_FAILED is life.report.outcome
    assert "database stopped" in life.transcript
    assert "1.5 jobs starts" in life.transcript
    assert "jobs stops" not in life.transcript


def test_an_overridden_registry_is_run_in_part() -> None:
    """As in production, with less of it."""
    registry = shop()
    life = testing.live(registry.only("database").override())

    assert ["database starts", "database started"] == life.transcript.words[1:3]
    assert [] == life.broken_promises
    assert life.result is None


def test_live_gives_what_the_body_returned_and_raises_nothing() -> None:
    """An error of the body is kept."""

    async def body(system: System) -> str:
        return system.name

    async def broken(_: System) -> None:
        message = "broken"
        raise ValueError(message)

    assert "shop" == testing.live(shop(), body).result
    assert "broken" == str(testing.live(shop(), broken).error)


def test_a_shutdown_at_a_line_of_the_transcript() -> None:
    """As soon as it stands there."""
    life = testing.live(shop(), shut_down_at="database starts")

    assert "0 asked to shut down: asked by the test" in life.transcript
    assert "0 jobs is skipped" in life.transcript
    assert [] == life.broken_promises


def test_a_shutdown_that_was_never_asked_for_is_a_mistake() -> None:
    """A test with a misspelt line would be one of nothing; it says what there was."""
    with pytest.raises(ValueError, match=r"Did you mean 'database starts'\?\n0 = starting"):
        testing.live(shop(), shut_down_at="databse starts")
    with pytest.raises(ValueError, match=r"wait 7': this life never came to that\.\n0 = "):
        testing.live(shop(), shut_down_at="database starts, wait 7")


def test_what_cannot_be_lived_is_raised() -> None:
    """A registry that cannot be planned keeps no promise, and breaks none."""
    broken = Registry("broken")
    broken.add(contextlib.nullcontext(), name="web", requires=["database"])
    with pytest.raises(UnknownComponentError, match="'web' requires 'database'"):
        testing.live(broken)
    with pytest.raises(DefinitionError, match="nobody"):
        testing.live(shop(), settings=Settings(limits={"nobody": Limits(start=3)}))


def test_a_life_that_stalls_says_so() -> None:
    """It is what went wrong, and not the cancellation that ended it."""

    async def body(system: System) -> None:
        await anyio.sleep_forever()

    life = testing.live(shop(), body)
    assert life.error is life.stalled
    assert isinstance(life.error, testing.StalledError)


@BACKENDS
def test_a_swallowed_cancellation_is_seen(backend: Any) -> None:
    """On trio, too, which answers with it instead of throwing it."""
    careless = Registry("careless")

    @careless.component
    async def client() -> AsyncIterator[None]:
        with contextlib.suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep(10)
        yield

    life = testing.live(careless, shut_down_at="client starts, wait 1", backend=backend)

    assert ["the start of 'client' swallowed its cancellation, and went on"] == [
        promise.partition("\n")[0] for promise in life.broken_promises
    ]


def test_a_fault_of_no_hook_is_a_mistake() -> None:
    """It could never strike."""
    at: Any = "strat"
    with pytest.raises(ValueError, match="at is 'strat', but must be one of 'start', 'run', "):
        faults.hang("database", at=at)


def test_a_fault_of_no_step_is_a_mistake() -> None:
    """Likewise."""
    with pytest.raises(ValueError, match="step is -1, but must be 0, or the number of an await"):
        faults.fail("database", at="start", step=-1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"faults": [3]}, "faults takes those of lifecycle.testing.faults, and 3 is none"),
        ({"faults": faults.hang("jobs", at="stop")}, r"put faults\.hang.* as faults=\["),
        ({"faults": 3}, "faults takes a list, not 3"),
        ({"instruments": [3]}, "instruments takes those of lifecycle.instruments, and 3 is none"),
    ],
)
def test_what_is_no_fault_and_no_instrument_is_refused(given: Any, message: str) -> None:
    """Where it is passed, and by what it is: no component is blamed for it."""
    with pytest.raises(TypeError, match=message):
        testing.live(shop(), **given)


@BACKENDS
@pytest.mark.parametrize("at", ["start", "drain", "stop"])
@pytest.mark.parametrize("error", [SystemExit(9), KeyboardInterrupt()], ids=repr)
def test_a_hook_that_asks_for_the_end_keeps_every_promise(
    backend: Any, at: Any, error: BaseException
) -> None:
    """That is a shutdown, and no failure."""
    fault = faults.fail("jobs", at=at, error=error)
    life = testing.live(with_a_group([]), faults=[fault], backend=backend)

    assert life.report is not None
    assert ("clean", 1) == (str(life.report.outcome), fault.hits)
    assert (9 if isinstance(error, SystemExit) else 130) == life.report.exit_code
    assert [] == life.broken_promises


def test_the_same_seed_gives_the_same_transcript() -> None:
    """Twenty seeds, each twice."""
    for seed in range(20):
        first, second = (testing.live(shop(), seed=seed).transcript for _ in range(2))
        assert first == second


def test_probes_are_not_answered_in_virtual_time() -> None:
    """A test needs no port, whatever the settings say."""
    life = testing.live(shop(), settings=Settings(probes=":0"))

    assert life.error is None
    assert life.settings.probes is None


# --- transcripts ---------------------------------------------------------------------------------


def test_a_transcript_is_equal_to_the_text_that_it_is_written_as() -> None:
    """However that is indented; its repr can be pasted."""
    transcript = testing.live(Registry("empty")).transcript

    assert transcript == str(transcript)
    assert transcript == eval(repr(transcript))  # noqa: S307  that is what a repr is for
    assert transcript != "0 = starting"
    assert transcript != 7
    assert len(list(transcript)) == len(transcript)


def test_pytest_shows_how_transcripts_differ(pytester: pytest.Pytester) -> None:
    """Line by line, in the failing assertion."""
    pytester.makepyfile("""
        from lifecycle import Registry, testing

        def test_it():
            assert testing.live(Registry("empty")).transcript == \"\"\"
                0 = starting
                0 = running
                2 closed
            \"\"\"
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*transcripts differ*", "*-2 closed*", "*+1 = closed*"])
    result.assert_outcomes(failed=1)


# --- faults --------------------------------------------------------------------------------------


def service() -> Registry:
    """Declare a service that drains."""
    registry = Registry("shop")

    @registry.service(drain_timeout=5)
    async def orders(life: Lifetime) -> None:
        life.started()
        while await life.sleep(1):
            pass

    return registry


STRUCK: list[tuple[Callable[[], faults.Fault], str, str]] = [
    (lambda: faults.fail("jobs", at="start"), "start failed", "1.5 jobs started: StartError"),
    (
        lambda: faults.fail("jobs", at="drain", error=OSError("gone")),
        "incomplete",
        "2.5 jobs drained: StopError: the drain hook of 'jobs' failed: OSError: gone",
    ),
    (
        lambda: faults.hang("jobs", at="start"),
        "start failed",
        "61.5 asked to shut down: 'jobs' was",
    ),
    (lambda: faults.slow("jobs", 3, at="start"), "clean", "4.5 jobs started"),
    (lambda: faults.crash("database", after=0.5), "crashed", "2 database crashed: CrashedError"),
    (
        lambda: faults.ignore_cancel("jobs", at="stop"),
        "incomplete",
        "15 the stop of jobs was abandoned",
    ),
    (lambda: faults.leak_task("jobs", at="start"), "clean", "1.5 jobs started"),
]


@BACKENDS
@pytest.mark.parametrize(
    ("make", "outcome", "line"), STRUCK, ids=[repr(make()) for make, _, _ in STRUCK]
)
def test_a_fault_strikes_one_hook(
    backend: Any, make: Callable[[], faults.Fault], outcome: str, line: str
) -> None:
    """And has the effect that it would have in production."""
    fault = make()
    life = testing.live(shop(), faults=[fault], backend=backend)

    assert life.report is not None
    assert outcome == str(life.report.outcome)
    assert [line] == [one[: len(line)] for one in life.transcript if one.startswith(line)]
    assert 1 == fault.hits
    assert [] == life.broken_promises


@BACKENDS
@pytest.mark.parametrize("name", ["database", "orders"])
def test_a_crash_that_never_comes_has_not_struck(backend: Any, name: str) -> None:
    """The life was over before: it is clean, and has to be."""
    registry = shop() if name == "database" else service()
    fault = faults.crash(name, after=100)
    life = testing.live(registry, faults=[fault], backend=backend)

    assert life.report is not None
    assert ("clean", 0) == (str(life.report.outcome), fault.hits)
    assert [] == life.broken_promises


@BACKENDS
@pytest.mark.parametrize(
    ("at", "outcome", "line"),
    [
        ("start", "start failed", "60 asked to shut down: 'orders' was not ready after 60 s"),
        ("drain", "incomplete", "6 orders drained: DrainTimeoutError: 'orders' had not drained"),
    ],
)
def test_a_service_hangs_where_it_is_asked_to(
    backend: Any, at: Any, outcome: str, line: str
) -> None:
    """Its one call has a beginning, and a place where it drains."""
    life = testing.live(service(), faults=[faults.hang("orders", at=at)], backend=backend)

    assert life.report is not None
    assert outcome == str(life.report.outcome)
    assert [line] == [one[: len(line)] for one in life.transcript if one.startswith(line)]


def with_a_group(closed: list[str]) -> Registry:
    """Declare a component that holds a task group, and has a drain and a stop."""
    registry = Registry("shop")

    @registry.component(drain_timeout=3, stop_timeout=3)
    async def jobs() -> AsyncIterator[str]:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                yield "jobs"
                await anyio.sleep(0.1)
                group.cancel_scope.cancel()
        finally:
            closed.append("jobs")

    @jobs.drain
    async def _(_: str) -> None:
        await anyio.sleep(0.1)

    return registry


@BACKENDS
@pytest.mark.parametrize("at", ["start", "drain", "stop"])
@pytest.mark.parametrize("kind", [faults.slow, faults.hang, faults.ignore_cancel])
def test_a_fault_that_is_cut_off_leaves_nothing_behind(backend: Any, at: Any, kind: Any) -> None:
    """What the start has opened is closed all the same, and the component is not blamed."""
    closed: list[str] = []
    more = (100,) if kind is faults.slow else ()
    life = testing.live(with_a_group(closed), faults=[kind("jobs", *more, at=at)], backend=backend)

    assert [] == life.broken_promises
    assert () == life.leftovers
    assert (["jobs"] if at != "start" else []) == closed


def test_a_fault_takes_a_handle() -> None:
    """As well as a full name."""
    registry = Registry("shop")

    @registry.component
    async def jobs() -> str:
        return "jobs"

    outer = Registry("outer")
    outer.include(registry, prefix="billing")
    fault = faults.fail(jobs, at="start")
    life = testing.live(outer, faults=[fault])

    assert isinstance(life.error, StartError)
    assert ("billing.jobs", 1) == (fault.name, fault.hits)


def test_a_start_may_fail_for_some_attempts() -> None:
    """Then its retries are what is tested."""
    registry = Registry("shop")

    @registry.component(retry=3)
    async def jobs() -> str:
        return "jobs"

    life = testing.live(registry, faults=[faults.fail(jobs, at="start", attempts=2)])
    assert life.error is None
    assert 2 == sum("is tried again" in line for line in life.transcript)


def test_a_sync_hook_hangs_in_its_thread() -> None:
    """It cannot be cancelled: it is abandoned, and let go when all is over."""
    registry = Registry("shop")

    @registry.component(start_timeout=1, stop_timeout=2)
    def config() -> str:
        return "config"

    life = testing.live(registry, faults=[faults.hang(config, at="start")])
    assert "3 the start of config was abandoned" in life.transcript
    assert () == life.leftovers


def test_what_cannot_crash_says_so() -> None:
    """A bare value has no task of its own."""
    registry = Registry("shop")

    @registry.component
    async def config() -> str:
        return "config"

    life = testing.live(registry, faults=[faults.crash(config)])
    assert "'config' cannot crash: it is no async generator" in str(life.error)
