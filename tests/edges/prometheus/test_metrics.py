from __future__ import annotations

import functools
import gc
import subprocess
import sys
import threading
import weakref
from typing import Any

import anyio
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

import lifecycle
from lifecycle import Lifetime, Registry, Settings, System, events
from lifecycle.errors import RunError
from lifecycle.integrations import prometheus
from tests.edges.prometheus.kit import scrape, scrape_openmetrics, shown
from tests.engine.kit import Life
from tests.engine.parts import fail, forever, ignoring, part, waiting

WHOLE = """\
# HELP lifecycle_phase The phase of the system: 1 for the one it is in.
# TYPE lifecycle_phase gauge
lifecycle_phase{phase="preflight",system="shop"} 0.0
lifecycle_phase{phase="starting",system="shop"} 0.0
lifecycle_phase{phase="running",system="shop"} 1.0
lifecycle_phase{phase="delaying",system="shop"} 0.0
lifecycle_phase{phase="draining",system="shop"} 0.0
lifecycle_phase{phase="closing",system="shop"} 0.0
lifecycle_phase{phase="rolling back",system="shop"} 0.0
lifecycle_phase{phase="closed",system="shop"} 0.0
# HELP lifecycle_ready Whether new work should be sent here.
# TYPE lifecycle_ready gauge
lifecycle_ready{system="shop"} 1.0
# HELP lifecycle_component_state The state of each component: 1 for the one it is in.
# TYPE lifecycle_component_state gauge
lifecycle_component_state{component="database",state="pending",system="shop"} 0.0
lifecycle_component_state{component="database",state="starting",system="shop"} 0.0
lifecycle_component_state{component="database",state="ready",system="shop"} 1.0
lifecycle_component_state{component="database",state="draining",system="shop"} 0.0
lifecycle_component_state{component="database",state="drained",system="shop"} 0.0
lifecycle_component_state{component="database",state="stopping",system="shop"} 0.0
lifecycle_component_state{component="database",state="stopped",system="shop"} 0.0
lifecycle_component_state{component="database",state="failed",system="shop"} 0.0
lifecycle_component_state{component="database",state="skipped",system="shop"} 0.0
# HELP lifecycle_component_available Whether the component takes the service out of rotation: 0.
# TYPE lifecycle_component_available gauge
lifecycle_component_available{component="database",system="shop"} 1.0
# HELP lifecycle_hook_duration_seconds How long the start, drain and stop of each component took.
# TYPE lifecycle_hook_duration_seconds gauge
lifecycle_hook_duration_seconds{component="database",hook="start",system="shop"} 2.0
# HELP lifecycle_in_flight Work in flight, by component; what has none is the system's own.
# TYPE lifecycle_in_flight gauge
lifecycle_in_flight{component="",system="shop"} 1.0
lifecycle_in_flight{component="database",system="shop"} 0.0
# HELP lifecycle_in_flight_oldest_age_seconds How long the oldest work has been in flight.
# TYPE lifecycle_in_flight_oldest_age_seconds gauge
lifecycle_in_flight_oldest_age_seconds{component="",system="shop"} 3.0
lifecycle_in_flight_oldest_age_seconds{component="database",system="shop"} 0.0
# HELP lifecycle_grace_period_seconds The time from the request to shut down to the end.
# TYPE lifecycle_grace_period_seconds gauge
lifecycle_grace_period_seconds{system="shop"} 25.0
# HELP lifecycle_grace_left_seconds What is left of the grace period, once it runs.
# TYPE lifecycle_grace_left_seconds gauge
# HELP lifecycle_check_ok Whether the check passed when it was last asked.
# TYPE lifecycle_check_ok gauge
lifecycle_check_ok{check="answers",component="database",system="shop"} 1.0
# HELP lifecycle_check_duration_seconds How long it took to answer.
# TYPE lifecycle_check_duration_seconds gauge
lifecycle_check_duration_seconds{check="answers",component="database",system="shop"} 0.5
# HELP lifecycle_check_age_seconds How long ago that was.
# TYPE lifecycle_check_age_seconds gauge
lifecycle_check_age_seconds{check="answers",component="database",system="shop"} 3.0
# HELP lifecycle_shutdowns_total Systems that have ended, by how, and by what had set it off.
# TYPE lifecycle_shutdowns_total counter
# HELP lifecycle_start_retries_total Attempts to start that failed and were not the last.
# TYPE lifecycle_start_retries_total counter
# HELP lifecycle_crashes_total Components that ended by themselves while they were to run.
# TYPE lifecycle_crashes_total counter
# HELP lifecycle_work_cancelled_total Work in flight that was cut off.
# TYPE lifecycle_work_cancelled_total counter
# HELP lifecycle_hooks_abandoned_total Hooks that did not end when cancelled, and were left behind.
# TYPE lifecycle_hooks_abandoned_total counter
"""


def test_everything_that_is_shown(life: Life) -> None:
    """The whole text of a system that runs, with work in flight and a check that was asked."""
    shop = Registry("shop")
    database = part(shop, "database", start=2)
    metrics = prometheus.metrics()

    @database.check
    async def answers(value: str) -> None:
        await anyio.sleep(0.5)

    async def body(system: System) -> str:
        await system.check()
        with system.hold("an order"):
            await anyio.sleep(3)
            return generate_latest(metrics.registry).decode()

    assert WHOLE == life.live(shop, body, companions=[metrics]).result


def test_a_life(life: Life) -> None:
    """From preflight to the end: phase, readiness, states, durations, and what is left of time."""
    shop = Registry("shop")
    part(shop, "database", start=1, drain=2, stop=0.5)
    metrics = prometheus.metrics()
    said: list[list[str]] = []
    names = (
        "phase",
        "ready",
        "component_state",
        "hook_duration_seconds",
        "grace_left_seconds",
        "shutdowns_total",
    )

    def look(event: events.Event) -> None:
        if isinstance(event, (events.PhaseChanged, events.CheckStarting)):
            said.append(shown(metrics.registry, *names))

    shop.preflight(lambda: None)

    async def body(system: System) -> None:
        system.shut_down("a deploy")
        await system.closed()

    settings = Settings(drain_delay=3)
    life.live(shop, body, settings, companions=[metrics], observers=[look])
    said.append(shown(metrics.registry, *names))

    start = 'hook_duration_seconds{system="shop", component="database", hook="start"} 1'
    drain = 'hook_duration_seconds{system="shop", component="database", hook="drain"} 2'
    stop = 'hook_duration_seconds{system="shop", component="database", hook="stop"} 0.5'
    state = 'component_state{{system="shop", component="database", state="{}"}} 1'.format
    phase = 'phase{{system="shop", phase="{}"}} 1'.format
    left = 'grace_left_seconds{{system="shop"}} {}'.format
    assert [
        [phase("preflight"), state("pending")],
        [phase("starting"), state("starting")],
        [phase("running"), 'ready{system="shop"} 1', state("ready"), start],
        [phase("delaying"), state("ready"), start, left(25)],
        [phase("draining"), state("draining"), start, left(22)],
        [phase("closing"), state("stopping"), start, drain, left(20)],
        [phase("closed"), state("stopped"), start, drain, stop, left(19.5)],
        [
            phase("closed"),
            state("stopped"),
            start,
            drain,
            stop,
            left(19.5),
            'shutdowns_total{system="shop", outcome="clean", trigger="request"} 1',
        ],
    ] == said


# --- work and rotation ---------------------------------------------------------------------------


def test_work_in_flight(life: Life) -> None:
    """How much of each component's, how much of the system's own, and for how long."""
    shop = Registry("shop")
    database = part(shop, "database")
    metrics = prometheus.metrics()

    async def body(system: System) -> list[str]:
        with system.hold("1", component=database):
            await anyio.sleep(2)
            with system.hold("2", component=database), system.hold("3"):
                await anyio.sleep(1)
                return shown(metrics.registry, "in_flight", "in_flight_oldest_age_seconds")

    assert [
        'in_flight{system="shop"} 1',
        'in_flight{system="shop", component="database"} 2',
        'in_flight_oldest_age_seconds{system="shop"} 1',
        'in_flight_oldest_age_seconds{system="shop", component="database"} 3',
    ] == life.live(shop, body, companions=[metrics]).result


@pytest.mark.uvloop
def test_out_of_rotation(life: Life) -> None:
    """A component that says that it is unavailable is seen to be the one."""
    shop = Registry("shop")
    metrics = prometheus.metrics()

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.started()
        life.unavailable("the broker is gone")
        await life.wait_draining()

    async def body(system: System) -> dict[str, float]:
        return scrape(metrics.registry)

    samples = life.live(shop, body, companions=[metrics]).result
    assert 0 == samples['lifecycle_component_available{system="shop", component="orders"}']
    assert 0 == samples['lifecycle_ready{system="shop"}']


@pytest.mark.uvloop
def test_checks(life: Life) -> None:
    """Each says whether it passed; two that go by the same name are told apart."""
    shop = Registry("shop")
    database = part(shop, "database")
    database.check(lambda _: None)
    database.check(lambda _: False)
    metrics = prometheus.metrics()

    async def body(system: System) -> dict[str, float]:
        await system.check()
        return scrape(metrics.registry)

    # On uvloop time is real, and the checks are called in threads.
    patient = Settings(check_timeout=15)
    samples = life.live(shop, body, patient, companions=[metrics]).result
    assert {
        'lifecycle_check_ok{system="shop", check="check", component="database"}': 1,
        'lifecycle_check_ok{system="shop", check="check#2", component="database"}': 0,
    } == {line: value for line, value in samples.items() if line.startswith("lifecycle_check_ok")}


# --- what is counted -----------------------------------------------------------------------------

COUNTERS = (
    "shutdowns_total",
    "start_retries_total",
    "crashes_total",
    "work_cancelled_total",
    "hooks_abandoned_total",
)


def test_what_goes_wrong_is_counted(life: Life) -> None:
    """Attempts to start, work that was cut off, hooks that were left behind, and the outcome."""
    shop = Registry("shop")
    attempts = iter([fail, fail, lambda: None])

    def start() -> None:
        next(attempts)()

    part(shop, "database", start=start, stop=ignoring(50), retry=3)
    metrics = prometheus.metrics()

    async def body(system: System) -> None:
        async with anyio.create_task_group() as tasks:
            for order in ("1", "2"):
                tasks.start_soon(hold, system, order)
            await anyio.sleep(1)
            system.shut_down("a deploy")

    async def hold(system: System, order: str) -> None:
        with system.hold(order):
            await anyio.sleep_forever()

    life.live(shop, body, companions=[metrics])
    assert [
        'shutdowns_total{system="shop", outcome="incomplete", trigger="request"} 1',
        'start_retries_total{system="shop", component="database"} 2',
        'work_cancelled_total{system="shop"} 2',
        'hooks_abandoned_total{system="shop", component="database", hook="stop"} 1',
    ] == shown(metrics.registry, *COUNTERS)


@pytest.mark.uvloop
def test_a_crash_is_counted(life: Life) -> None:
    """By the component that crashed, and by the outcome."""
    shop = Registry("shop")
    metrics = prometheus.metrics()

    @shop.service
    async def orders() -> None:
        raise OSError

    life.live(shop, waiting, companions=[metrics])
    assert [
        'shutdowns_total{system="shop", outcome="crashed", trigger="failure"} 1',
        'crashes_total{system="shop", component="orders"} 1',
    ] == shown(metrics.registry, *COUNTERS)


@pytest.mark.uvloop
def test_a_start_that_fails_is_counted(life: Life) -> None:
    """Its system has ended, too."""
    shop = Registry("shop")
    part(shop, "database", start=fail)
    metrics = prometheus.metrics()

    life.live(shop, companions=[metrics])
    assert [
        'component_state{system="shop", component="database", state="failed"} 1',
        'shutdowns_total{system="shop", outcome="start failed", trigger="failure"} 1',
    ] == shown(metrics.registry, "component_state", *COUNTERS)


# --- several systems, one registry ---------------------------------------------------------------


@pytest.mark.uvloop
@pytest.mark.parametrize("registry", [CollectorRegistry, lambda: CollectorRegistry(True)])
def test_one_system_after_the_other(life: Life, registry: Any) -> None:
    """The same again takes the place of the one before, and the counters go on.

    Also with a companion of its own each time, as tests and restarts make them.
    """
    shared = registry()
    for stop in (fail, lambda: None, lambda: None):
        shop = Registry("shop")
        part(shop, "database", stop=stop)
        life.live(shop, companions=[prometheus.metrics(shared)])

    assert [
        'component_state{system="shop", component="database", state="stopped"} 1',
        'shutdowns_total{system="shop", outcome="incomplete", trigger="end"} 1',
        'shutdowns_total{system="shop", outcome="clean", trigger="end"} 2',
    ] == shown(shared, "component_state", "shutdowns_total")


@pytest.mark.uvloop
@pytest.mark.parametrize("own", [False, True])
def test_systems_side_by_side(life: Life, *, own: bool) -> None:
    """They are told apart by their names; of those of one name, all but one have a number."""
    shared = CollectorRegistry()
    metrics = prometheus.metrics(shared)

    async def nest(*names: str) -> list[str]:
        if not names:
            return shown(shared, "phase")
        companion = prometheus.metrics(shared) if own else metrics
        async with lifecycle.running(Registry(names[0]), companions=[companion]):
            return await nest(*names[1:])

    assert [
        'phase{system="shop", phase="running"} 1',
        'phase{system="billing", phase="running"} 1',
        'phase{system="shop#2", phase="running"} 1',
        'phase{system="shop#3", phase="running"} 1',
    ] == life.run(functools.partial(nest, "shop", "billing", "shop", "shop"))


@pytest.mark.uvloop
def test_both_formats_say_the_same(life: Life) -> None:
    """Each sample is there once, in the text format and in that of OpenMetrics."""
    shop = Registry("shop")
    part(shop, "database").check(lambda _: None)
    metrics = prometheus.metrics()
    life.live(shop, lambda system: system.check(), companions=[metrics])
    assert scrape(metrics.registry) == scrape_openmetrics(metrics.registry)


def test_prefixes_keep_apart() -> None:
    """What has another prefix is shown by itself."""
    shared = CollectorRegistry()
    prometheus.metrics(shared)
    prometheus.metrics(shared, prefix="jobs")

    text = generate_latest(shared).decode()
    assert 1 == text.count("TYPE lifecycle_ready gauge")
    assert 1 == text.count("TYPE jobs_ready gauge")


def test_a_clash_with_somebody_else() -> None:
    """It is an error at once, that says what to do."""
    shared = CollectorRegistry()
    Counter("lifecycle_crashes", "Of something else.", registry=shared)

    with pytest.raises(ValueError, match=r"Give another prefix: metrics\(registry, prefix=…\)"):
        prometheus.metrics(shared)
    prometheus.metrics(shared, prefix="shop")


def test_a_prefix_that_cannot_begin_a_name() -> None:
    """It is an error at once."""
    with pytest.raises(ValueError, match="prefix is '1st shop'"):
        prometheus.metrics(prefix="1st shop")


def test_a_registry_that_was_emptied() -> None:
    """It takes the metrics again."""
    shared = CollectorRegistry()
    prometheus.metrics(shared)
    for collector in list(shared._collector_to_names):  # noqa: SLF001  as many tests do it
        shared.unregister(collector)
    assert b"" == generate_latest(shared)

    prometheus.metrics(shared)
    assert b"lifecycle_ready" in generate_latest(shared)


def test_its_own_registry_has_nothing_else_in_it(life: Life) -> None:
    """And two companions do not see each other's."""
    ours, others = prometheus.metrics(), prometheus.metrics()
    life.live(Registry("shop"), companions=[ours])
    assert ours.registry is not others.registry
    assert [] == shown(others.registry)


# --- the end, and other threads ------------------------------------------------------------------


@pytest.mark.uvloop
def test_nothing_is_kept_alive(life: Life, backend: str) -> None:
    """The last values are kept; the system is not, nor a registry that nobody uses."""
    metrics = prometheus.metrics()

    def run(metrics: prometheus.Metrics) -> tuple[Any, Any]:
        lived = Life(backend).live(Registry("shop"), companions=[metrics], body=_itself)
        return weakref.ref(lived.result), weakref.ref(metrics.registry)

    system, registry = run(metrics)
    gc.collect()
    assert system() is None
    assert ['phase{system="shop", phase="closed"} 1'] == shown(metrics.registry, "phase")
    del metrics
    gc.collect()
    assert registry() is None


async def _itself(system: System) -> System:
    return system


@pytest.mark.uvloop
def test_scraping_from_another_thread_while_everything_changes(life: Life) -> None:
    """Each scrape is whole, however fast the system starts, works, and ends."""
    metrics = prometheus.metrics()
    is_over = threading.Event()
    scrapes: list[int] = []
    errors: list[BaseException] = []

    def scrape_all_the_time() -> None:
        try:
            while not is_over.is_set():
                scrapes.append(len(scrape(metrics.registry)))
        except BaseException as error:  # noqa: BLE001  the test looks at it
            errors.append(error)

    async def work(system: System) -> None:
        with system.hold("an order"):
            await anyio.lowlevel.checkpoint()

    async def body(system: System) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(work, system)
        await system.check()

    thread = threading.Thread(target=scrape_all_the_time)
    thread.start()
    try:
        for number in range(8):
            shop = Registry("shop")
            for name in "abcdefgh":
                part(shop, name, stop=fail if number % 2 else 0).check(lambda _: None)
            life.live(shop, body, companions=[metrics])
    finally:
        is_over.set()
        thread.join()
    assert [] == errors
    assert [
        'shutdowns_total{system="shop", outcome="clean", trigger="end"} 4',
        'shutdowns_total{system="shop", outcome="incomplete", trigger="end"} 4',
    ] == shown(metrics.registry, "shutdowns_total")
    assert scrapes


def test_the_end_of_a_system_that_is_stuck(life: Life) -> None:
    """It can be seen from outside which component it is, and how long there is still."""
    shop = Registry("shop")
    part(shop, "database")
    part(shop, "web", drain=forever, requires=["database"])
    metrics = prometheus.metrics()
    said: list[str] = []

    async def body(system: System) -> None:
        system.shut_down("a deploy")
        with anyio.CancelScope(shield=True):
            await anyio.sleep(10)
        said.extend(shown(metrics.registry, "component_state", "grace_left_seconds"))
        await system.closed()

    with pytest.raises(RunError):
        raise life.live(shop, body, companions=[metrics]).error or AssertionError
    assert [
        'component_state{system="shop", component="database", state="ready"} 1',
        'component_state{system="shop", component="web", state="draining"} 1',
        'grace_left_seconds{system="shop"} 15',
    ] == said


def test_without_prometheus_client_it_says_what_to_install() -> None:
    """Whoever imports the module needs the extra."""
    name = "lifecycle.integrations.prometheus"
    program = f"import sys; sys.modules['prometheus_client'] = None; import {name}"

    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert ran.stderr.splitlines()[-1] == (
        "ImportError: prometheus_client is not installed: pip install 'anyio-lifecycle[prometheus]'"
    )
