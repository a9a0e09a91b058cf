"""How a worker ends: before all that its activities need, and before its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

import lifecycle
from lifecycle import Limits, Outcome, Settings
from lifecycle.errors import ClosedError, CrashedError, DrainTimeoutError
from lifecycle.integrations.temporal._activities import Activities as _Activities
from tests.edges.temporal.frontend import Outcome as Result
from tests.edges.temporal.kit import QUEUE, Activities, run, shop_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle import System
    from lifecycle.events import Observer
    from tests.edges.temporal.frontend import InThread

pytestmark = pytest.mark.anyio

CUT_OFF = Result(
    "failed",
    "WorkerShutdown: the activity was cut off: the worker shuts down, and its time to drain is "
    "over",
)


def limited(*, drain: float | None = None, stop: float = 40) -> Settings:
    """Give the worker some time to drain, and to stop."""
    return Settings(limits={"worker": Limits(drain=drain, stop=stop)}, grace_period=90)


def when_draining(call: Callable[[], object]) -> Observer:
    """Call something when the worker begins to drain."""

    def observer(event: object) -> None:
        if isinstance(event, lifecycle.events.ComponentDraining) and event.component == "worker":
            call()

    return observer


# --- drain ---------------------------------------------------------------------------------------


async def test_activities_are_finished_and_their_results_delivered(frontend: InThread) -> None:
    """While all that they use is there, the client included; the status shows them meanwhile."""
    activities = Activities()
    shop, _ = shop_of(frontend, activities)
    tokens = [frontend.add(QUEUE, "pack", 1), frontend.add(QUEUE, "weigh", 2)]
    in_flight: list[tuple[str | None, str]] = []

    async def body(system: System) -> None:
        await activities.running(2)
        system.shut_down("a deploy")
        await system.wait_draining()
        works = system.status().in_flight
        in_flight.extend((one.component, one.what) for one in works if one.component)
        activities.finish()

    report = await run(shop, body)

    assert report.outcome is Outcome.CLEAN
    assert set(in_flight) == {
        ("worker", f"pack of workflow-of-{tokens[0]}"),
        ("worker", f"weigh of workflow-of-{tokens[1]}"),
    }
    assert frontend.outcomes == {
        tokens[0]: Result("completed", "packed 1"),
        tokens[1]: Result("completed", "weighed 2"),
    }
    assert activities.log == ["database closed"]


async def test_no_result_is_lost_in_twenty_shutdowns(frontend: InThread) -> None:
    """Each with an activity that ends only after the shutdown has begun."""
    delivered = []
    for number in range(20):
        activities = Activities()
        shop, _ = shop_of(frontend, activities)
        token = frontend.add(QUEUE, "pack", number)

        async def body(system: System, activities: Activities = activities) -> None:
            await activities.running(1)
            system.shut_down("a deploy")
            await system.wait_draining()
            activities.finish()

        report = await run(shop, body)
        assert report.outcome is Outcome.CLEAN
        delivered.append(frontend.outcomes[token].value)

    assert [f"packed {number}" for number in range(20)] == delivered


async def test_who_drains_takes_no_more(frontend: InThread) -> None:
    """What comes then is left for other workers, although this one still works."""
    activities = Activities()
    shop, _ = shop_of(frontend, activities)
    first = frontend.add(QUEUE, "pack", 1)

    async def body(system: System) -> None:
        await activities.running(1)
        system.shut_down("a deploy")
        await anyio.to_thread.run_sync(frontend.ended, abandon_on_cancel=True)
        frontend.add(QUEUE, "pack", 2)
        activities.finish()

    report = await run(shop, body)

    assert report.outcome is Outcome.CLEAN
    assert {first: Result("completed", "packed 1")} == frontend.outcomes


async def test_a_cancellation_from_outside_loses_nothing(frontend: InThread) -> None:
    """The worker is asked to end all the same, and not cancelled."""
    activities = Activities()
    shop, _ = shop_of(frontend, activities)
    token = frontend.add(QUEUE, "pack", 1)

    with anyio.CancelScope() as scope:
        async with lifecycle.running(shop, observers=[when_draining(activities.finish)]) as system:
            await activities.running(1)
            scope.cancel()
            await system.closed()

    assert scope.cancelled_caught
    assert frontend.outcomes == {token: Result("completed", "packed 1")}


# --- the time is over ----------------------------------------------------------------------------


async def test_what_is_left_is_cancelled_and_reported(frontend: InThread) -> None:
    """To Temporal as failed, to be tried again; to us by name. It can put things back first."""
    activities = Activities()
    shop, _ = shop_of(frontend, activities)
    tokens = [frontend.add(QUEUE, "pack", 1), frontend.add(QUEUE, "weigh", 2)]

    async def body(system: System) -> None:
        await activities.running(2)

    report = await run(shop, body, limited(drain=0.2))

    assert report.exit_code == 75
    assert [DrainTimeoutError] == [type(error) for error in report.errors]
    names = {f"pack of workflow-of-{tokens[0]}", f"weigh of workflow-of-{tokens[1]}"}
    assert names == {work.what for work in report.in_flight}
    assert frontend.outcomes == dict.fromkeys(tokens, CUT_OFF)
    assert {"put back 1", "put back 2"} == {*activities.log[:2]}
    assert activities.log[2:] == ["database closed"]
    assert report.abandoned == ()


async def test_what_comes_when_the_time_is_over_is_refused() -> None:
    """The activity is not begun; Temporal is told at once, and gives it to somebody else."""
    owner: Any = Closed()

    async def begin() -> None:
        _Activities(owner).take(lambda *_: None)

    with pytest.raises(
        ApplicationError, match="the worker shuts down, and takes no more"
    ) as raised:
        await ActivityEnvironment().run(begin)

    assert raised.value.type == "WorkerShutdown"
    assert not raised.value.non_retryable


class Closed:
    """The lifetime of a component whose time to drain is over."""

    def hold(self, what: str, *, on_cut: object) -> None:
        raise ClosedError("worker", "no work is taken any more")


async def test_a_stuck_thread_is_named(frontend: InThread) -> None:
    """The worker is abandoned with it; nothing that it uses is closed before its time is over."""
    activities = Activities()
    shop, _ = shop_of(frontend, activities)
    token = frontend.add(QUEUE, "stuck")

    def observer(event: object) -> None:
        if isinstance(event, lifecycle.events.HookAbandoned):
            activities.thread_goes_on.set()

    async def body(system: System) -> None:
        await activities.running(1)

    report = await run(shop, body, limited(drain=0.1, stop=0.2), observers=[observer])

    assert report.exit_code == 75
    assert [f"stuck of workflow-of-{token}"] == [work.what for work in report.in_flight]
    assert [("worker", "stop")] == [(left.component, left.hook) for left in report.abandoned]


# --- crashes -------------------------------------------------------------------------------------


async def test_a_crash(frontend: InThread) -> None:
    """It is noticed at once, with its cause; the activities that there are are finished first."""
    activities = Activities()
    shop, _ = shop_of(frontend, activities)
    token = frontend.add(QUEUE, "pack", 1)

    async def body(system: System) -> None:
        await activities.running(1)
        frontend.add(QUEUE, "broken")
        await system.closed()

    def observer(event: object) -> None:
        if isinstance(event, lifecycle.events.ShutdownRequested):
            activities.finish()

    report = await run(shop, body, observers=[observer])

    error = report.errors[0]
    assert report.exit_code == 70
    assert isinstance(error, CrashedError)
    assert "the pool of threads is broken" in str(error)
    assert frontend.outcomes[token] == Result("completed", "packed 1")
    assert activities.log == ["database closed"]
