"""What a start and a shutdown look like as traces."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Registry, Settings, System, wants
from lifecycle.integrations import opentelemetry
from lifecycle.integrations.opentelemetry._sender import Sender
from tests.engine.parts import asked, fail, forever, ignoring, part, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.edges.opentelemetry.kit import Traces
    from tests.engine.kit import Life


def test_a_life(life: Life, traces: Traces) -> None:
    """One trace of the start, and one of the shutdown, with the links of the graph in both."""
    shop = Registry("shop")
    database = part(shop, "database", start=1, drain=0.25, stop=0.5)
    cache = part(shop, "cache", start=2, stop=1)
    part(shop, "jobs", start=0.5, requires=[database], after=[cache])
    part(shop, "web", drain=3, requires=["jobs"], wants=["database"])

    @shop.preflight
    async def disk() -> None:
        await anyio.sleep(0.125)

    async def body(system: System) -> None:
        system.shut_down("a deploy")
        await system.closed()

    companion = opentelemetry.tracing(traces.provider)
    life.live(shop, body, Settings(drain_delay=2), companions=[companion])
    assert [
        "start shop 0-2.625 [starting, running]",
        "  check disk 0-0.125",
        "  start database 0.125-1.125",
        "  start cache 0.125-2.125",
        "  start jobs 2.125-2.625 after start database, start cache",
        "  start web 2.625-2.625 after start jobs, start database",
        "shut down shop 0-6.25 [delaying, draining, closing]",
        "  drain web 2-5",
        "  drain jobs 5-5 after drain web",
        "  drain cache 5-5 after drain jobs",
        "  drain database 5-5.25 after drain jobs, drain web",
        "  stop web 5.25-5.25",
        "  stop jobs 5.25-5.25 after stop web",
        "  stop database 5.25-5.75 after stop jobs, stop web",
        "  stop cache 5.25-6.25 after stop jobs",
    ] == traces.tree()


def attributes(traces: Traces, name: str) -> dict[str, Any]:
    """What a span says, without the prefix."""
    given = traces.span(name).attributes or {}
    return {key.removeprefix("lifecycle."): value for key, value in given.items()}


@pytest.mark.uvloop
def test_attributes(life: Life, traces: Traces) -> None:
    """Who it is, what is called, and how it went."""
    shop = Registry("shop")
    database = part(shop, "database")
    part(shop, "cache", optional=True, after=[database])
    shop.preflight(lambda: None)

    life.live(shop, asked, companions=[opentelemetry.tracing(traces.provider)])
    assert {"system": "shop"} == attributes(traces, "start shop")
    assert {"system": "shop", "check": "<lambda>"} == attributes(traces, "check <lambda>")
    for hook in ("start", "drain", "stop"):
        assert {
            "system": "shop",
            "component": "cache",
            "hook": hook,
            "optional": True,
        } == attributes(traces, f"{hook} cache")
    assert {
        "system": "shop",
        "trigger": "request",
        "reason": "asked",
        "outcome": "clean",
        "exit_code": 0,
    } == attributes(traces, "shut down shop")
    (link,) = traces.span("start cache").links
    assert {"lifecycle.relation": "after"} == dict(link.attributes or {})


# --- what goes wrong -----------------------------------------------------------------------------


def leak() -> None:
    """Fail with a secret in the message."""
    raise ConnectionError("password=s3cret")


def test_a_start_that_fails(life: Life, traces: Traces) -> None:
    """The trace of the start says whose fault it was; what it had to roll back is the other one."""
    shop = Registry("shop")
    part(shop, "config", stop=0.5)
    part(shop, "database", start=leak, requires=["config"])
    part(shop, "slow", start=forever, requires=["config"])
    part(shop, "web", requires=["database"])

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert [
        "start shop 0-0 (ConnectionError) [starting]",
        "  start config 0-0",
        "  start database 0-0 (ConnectionError) after start config",
        "  start slow 0-0 after start config",
        "shut down shop 0-0.5 (ConnectionError) [rolling back, skipped]",
        "  drain config 0-0",
        "  stop config 0-0.5",
    ] == traces.tree()
    assert (
        "builtins.ConnectionError".removeprefix("builtins.")
        == (attributes(traces, "start database")["error.type"])
    )
    assert attributes(traces, "start slow")["given_up"]
    assert ("start failed", 69) == (
        attributes(traces, "shut down shop")["outcome"],
        attributes(traces, "shut down shop")["exit_code"],
    )


@pytest.mark.rule("P5")
@pytest.mark.uvloop
@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize("hook", ["preflight", "start", "drain", "stop", "run", "body"])
def test_secrets(life: Life, traces: Traces, hook: str, *, record: bool) -> None:
    """An error's message, and its traceback, are shown where that was asked for only."""
    shop = Registry("shop")
    if hook == "preflight":
        shop.preflight(leak)
    elif hook == "run":

        @shop.service
        async def database() -> None:
            leak()

    else:
        part(shop, "database", **({} if hook == "body" else {hook: leak}))

    async def body(system: System) -> None:
        if hook == "body":
            leak()
        await asked(system)

    tracing = opentelemetry.tracing(traces.provider, record_exceptions=record)
    life.live(shop, body, companions=[tracing])
    text = "".join(json.dumps(json.loads(span.to_json())) for span in traces.spans)
    assert "ConnectionError" in text
    assert record == ("s3cret" in text)


def test_a_check_that_fails(life: Life, traces: Traces) -> None:
    """Nothing else is started, and both traces say why."""
    shop = Registry("shop")
    part(shop, "web")

    @shop.preflight
    async def disk() -> None:
        await anyio.sleep(1)
        fail()

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert [
        "start shop 0-1 (ValueError)",
        "  check disk 0-1 (ValueError)",
        "shut down shop 0-0 (ValueError) [rolling back, skipped]",
    ] == traces.tree()


@pytest.mark.parametrize("is_quick", [True, False])
def test_what_follows_the_end_of_a_span(
    life: Life, traces: Traces, monkeypatch: pytest.MonkeyPatch, *, is_quick: bool
) -> None:
    """It is told in one that goes on, and not left to chance: to the thread that sends."""
    if is_quick:  # what is posted is sent in the same moment
        monkeypatch.setattr(Sender, "post", lambda _, job: job())
    shop = Registry("shop")
    part(shop, "config")
    part(shop, "database", start=ignoring(60), requires=["config"], start_timeout=1)
    part(shop, "web", requires=["database"])

    life.live(
        shop, settings=Settings(stop_timeout=2), companions=[opentelemetry.tracing(traces.provider)]
    )
    assert [
        "start shop 0-1 (StartTimeoutError) [starting]",
        "  start config 0-0",
        "  start database 0-1 (StartTimeoutError) after start config",
        "shut down shop 0-2 (StartTimeoutError) [rolling back, skipped, abandoned]",
        "  drain config 2-2",
        "  stop config 2-2",
    ] == traces.tree()


def test_attempts(life: Life, traces: Traces) -> None:
    """Each that failed is an event of the start's span."""
    shop = Registry("shop")
    attempts: Iterator[Callable[[], None]] = iter([fail, leak, lambda: None])

    def start() -> None:
        next(attempts)()

    part(shop, "database", start=start, retry=3)

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert [("retry", 1, "ValueError"), ("retry", 2, "ConnectionError")] == [
        (event.name, said["lifecycle.attempt"], said["error.type"])
        for event in traces.span("start database").events
        if (said := event.attributes)
    ]


def test_an_optional_component_that_fails(life: Life, traces: Traces) -> None:
    """Its own span is an error; the start is none."""
    shop = Registry("shop")
    cache = part(shop, "cache", start=fail, optional=True)

    @shop.component
    async def web(cache: object = wants(cache)) -> None: ...

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert [
        "start shop 0-0 [starting, running]",
        "  start cache 0-0 (ValueError)",
        "  start web 0-0 after start cache",
        "shut down shop 0-0 [draining, closing]",
        "  drain web 0-0",
        "  stop web 0-0",
    ] == traces.tree()


def test_whose_fault_a_failed_start_is(life: Life, traces: Traces) -> None:
    """That of the first component that must not fail."""
    shop = Registry("shop")
    part(shop, "cache", start=fail, optional=True)
    part(shop, "database", start=leak, after=["cache"])

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert "ConnectionError" == traces.span("start shop").status.description


def test_checks_of_one_name(life: Life, traces: Traces) -> None:
    """Each has its span."""
    shop = Registry("shop")
    for seconds in (2, 1):
        shop.preflight(functools.partial(anyio.sleep, seconds))

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert [
        "start shop 0-2 [starting, running]",
        "  check sleep 0-1",
        "  check sleep 0-2",
    ] == traces.tree()[:3]


def test_times_are_those_of_the_wall_clock(life: Life, traces: Traces) -> None:
    """Of each trace, when it began: the loop's clock may have gone another way in between."""
    before = time.time_ns()

    life.live(
        Registry("shop"),
        lambda _: anyio.sleep(80_000),
        companions=[opentelemetry.tracing(traces.provider)],
    )
    for name in ("start shop", "shut down shop"):
        assert before <= (traces.span(name).start_time or 0) <= time.time_ns()


def test_a_crash_while_others_start(life: Life, traces: Traces) -> None:
    """The start has failed, and nothing else."""
    shop = Registry("shop")
    part(shop, "slow", start=forever)
    shop.service(_crash, name="orders")

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])

    assert "start shop 0-1 (ValueError) [starting]" == traces.tree()[0]


def test_a_crash(life: Life, traces: Traces) -> None:
    """It is an event of the shutdown that follows from it."""
    shop = Registry("shop")

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.started()
        await anyio.sleep(5)
        leak()

    life.live(shop, waiting, companions=[opentelemetry.tracing(traces.provider)])
    assert [
        "start shop 0-0 [starting, running]",
        "  start orders 0-0",
        "shut down shop 0-0 (ConnectionError) [crashed, draining, closing]",
        "  stop orders 0-0",
    ] == traces.tree()
    assert {
        "lifecycle.component": "orders",
        "error.type": "ConnectionError",
    } == dict(traces.span("shut down shop").events[0].attributes or {})


def test_what_is_cut_off(life: Life, traces: Traces) -> None:
    """Work that was lost, and a hook that was left behind, are events where they belong."""
    shop = Registry("shop")
    database = part(shop, "database", stop=ignoring(30), stop_timeout=2)
    part(shop, "web", drain=0, drain_timeout=1, requires=[database])

    async def body(system: System) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold, system)
            await anyio.sleep(1)
            system.shut_down("a deploy")

    async def hold(system: System) -> None:
        with system.hold("an order", component=database):
            await anyio.sleep_forever()

    life.live(
        shop,
        body,
        Settings(grace_period=10, close_reserve=5),
        companions=[opentelemetry.tracing(traces.provider)],
    )
    assert [
        "start shop 0-0 [starting, running]",
        "  start database 0-0",
        "  start web 0-0 after start database",
        "shut down shop 0-7 (incomplete) [draining, closing]",
        "  drain web 0-0",
        "  drain database 0-4.5 (DrainTimeoutError) after drain web [work cancelled]",
        "  stop web 4.5-4.5",
        "  stop database 4.5-7 (StopError) after stop web [abandoned]",
    ] == traces.tree()


async def _at_once(system: System) -> None:
    pass


async def _lose_work(system: System) -> None:
    with system.hold("an order"):
        system.shut_down("a deploy")
        await anyio.sleep_forever()


async def _raise(system: System) -> None:
    raise ZeroDivisionError


async def _interrupt(system: System) -> None:
    system.signal(signal.SIGINT, ago=1)
    system.signal(signal.SIGINT)
    await system.closed()


async def _crash(life: Lifetime) -> None:
    life.started()
    await anyio.sleep(1)
    fail()


@pytest.mark.parametrize(
    ("goes_wrong", "body", "error"),
    [
        ({}, _at_once, None),
        ({"start": fail}, _at_once, "ValueError"),
        ({"start": fail, "optional": True}, _at_once, None),
        ({"check": fail}, _at_once, "ValueError"),
        ({"service": _crash}, waiting, "ValueError"),
        ({"drain": fail}, _at_once, "ValueError"),
        ({"drain": fail, "stop": leak}, _at_once, "ValueError"),
        ({"stop": fail}, _at_once, "ValueError"),
        ({"stop": ignoring(30), "stop_timeout": 2}, _at_once, "lifecycle.errors.StopError"),
        ({}, _lose_work, "lifecycle.errors.DrainTimeoutError"),
        ({"stop": fail}, _lose_work, "lifecycle.errors.DrainTimeoutError"),
        ({}, _raise, "ZeroDivisionError"),
        ({}, _interrupt, "_OTHER"),
    ],
)
def test_a_shutdown_that_went_wrong_has_the_type_of_its_first_error(
    life: Life, traces: Traces, goes_wrong: dict[str, Any], body: Any, error: str | None
) -> None:
    """As every other span that failed; where the run has no error, the word for that."""
    shop = Registry("shop")
    if "check" in goes_wrong:
        shop.preflight(goes_wrong["check"])
    elif "service" in goes_wrong:
        shop.service(goes_wrong["service"])
    else:
        part(shop, "database", **goes_wrong)

    life.live(shop, body, companions=[opentelemetry.tracing(traces.provider)])

    assert error == attributes(traces, "shut down shop").get("error.type")


def test_a_check_that_was_left_behind_counts(life: Life, traces: Traces) -> None:
    """It is all that went wrong."""
    shop = Registry("shop")
    shop.preflight(ignoring(30))

    @contextlib.asynccontextmanager
    async def impatient(system: System) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up, system)
            yield

    async def give_up(system: System) -> None:
        await anyio.sleep(1)
        system.shut_down("a deploy")

    life.live(shop, companions=[opentelemetry.tracing(traces.provider), impatient])

    assert "lifecycle.errors.StopError" == attributes(traces, "shut down shop")["error.type"]


@pytest.mark.uvloop
def test_several_systems(life: Life, traces: Traces) -> None:
    """One companion can accompany any number of them; each has traces of its own."""
    tracing = opentelemetry.tracing(traces.provider)
    for _ in range(2):
        life.live(Registry("shop"), companions=[tracing])
    roots = [span for span in traces.spans if span.parent is None]
    assert ["start shop", "shut down shop"] * 2 == [span.name for span in roots]
    assert 4 == len({span.context.trace_id for span in roots if span.context})
