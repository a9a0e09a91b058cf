"""How Temporal's client and worker start, and what they say when they cannot."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
import trio
from temporalio import activity
from temporalio.client import Client
from typing_extensions import assert_type

import lifecycle
from lifecycle import Component, Lifetime, Outcome, Registry, Retry, requires
from lifecycle.errors import ClosedError, StartError, StartTimeoutError
from lifecycle.integrations import temporal
from tests.edges.temporal.frontend import Outcome as Result
from tests.edges.temporal.kit import QUEUE, Activities, outcome_of, run, shop_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle import System
    from tests.edges.temporal.frontend import InThread

pytestmark = pytest.mark.anyio


@activity.defn
async def greet(name: str) -> str:
    """Greet."""
    return f"hello {name}"


async def test_it_runs_activities(frontend: InThread) -> None:
    """As soon as it has started; the values of the components are what they are typed as."""
    shop = Registry("shop")
    client = shop.add(temporal.client(frontend.target), name="temporal")
    assert_type(client, Component[Client])

    @shop.build
    def worker(client: Client = requires(client)) -> temporal.Worker:
        return temporal.worker(client, task_queue=QUEUE, activities=[greet])

    assert_type(worker, Component[temporal.Worker])

    async def body(system: System) -> None:
        assert isinstance(system[client], Client)
        assert QUEUE == system[worker].task_queue == system[worker].worker.task_queue
        token = frontend.add(QUEUE, "greet", "world")
        assert Result("completed", "hello world") == await outcome_of(frontend, token)

    report = await run(shop, body)

    assert report.outcome is Outcome.CLEAN


async def test_nobody_there() -> None:
    """The start fails with what the system said of the address."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        target = f"127.0.0.1:{bound.getsockname()[1]}"
        shop = Registry("shop")
        shop.add(temporal.client(target), name="temporal")

        report = await run(shop)

    error = report.errors[0]
    assert isinstance(error, StartError)
    assert isinstance(error.__cause__, ConnectionError)
    assert f"cannot connect to Temporal at {target}" in str(error)
    assert "Connection refused" in str(error)


async def test_somebody_who_does_not_answer() -> None:
    """The client has the time that its component has to start."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        shop = Registry("shop")
        target = f"127.0.0.1:{mute.getsockname()[1]}"
        shop.add(temporal.client(target), name="temporal", start_timeout=0.2)

        report = await run(shop)

    assert [StartTimeoutError] == [type(error) for error in report.errors]
    assert report.abandoned == ()


async def test_an_unknown_namespace(frontend: InThread) -> None:
    """It is named; nothing was polled, and what had started was stopped."""
    activities = Activities()
    shop, _ = shop_of(frontend, activities, namespace="nowhere")

    report = await run(shop)

    assert str(report.errors[0].__cause__) == (
        "Temporal does not let the namespace 'nowhere' be used: NOT_FOUND: "
        "Namespace nowhere is not found."
    )
    assert activities.log == ["database closed"]


async def test_it_starts_when_it_is_tried_again(frontend: InThread) -> None:
    """What is missing now may be there a moment later; each attempt has a worker of its own."""
    frontend.let_be_missing(1)
    shop, _ = shop_of(frontend, Activities(), retry=Retry(1, delay=0.01))

    async def body(system: System) -> None:
        await anyio.to_thread.run_sync(frontend.polled, QUEUE, abandon_on_cancel=True)

    report = await run(shop, body)

    assert report.outcome is Outcome.CLEAN


async def test_the_event_loop_goes_on_while_it_is_made(frontend: InThread) -> None:
    """Temporal reads the code of all modules for a new worker: that is done in a thread."""
    made_in: list[threading.Thread] = []

    class Noting(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            made_in.append(threading.current_thread())
            return super().__iter__()

    shop = Registry("shop")
    client = shop.add(temporal.client(frontend.target), name="temporal")

    @shop.build
    def worker(client: Client = requires(client)) -> temporal.Worker:
        return temporal.worker(client, task_queue=QUEUE, activities=Noting([greet]))

    report = await run(shop)

    assert report.outcome is Outcome.CLEAN
    assert made_in
    assert threading.main_thread() not in made_in


async def test_what_temporal_says_of_a_wrong_worker(frontend: InThread) -> None:
    """It is the cause of the failed start."""

    async def undecorated() -> None:
        pass

    shop = Registry("shop")
    client = shop.add(temporal.client(frontend.target), name="temporal")

    @shop.build
    def worker(client: Client = requires(client)) -> temporal.Worker:
        return temporal.worker(client, task_queue=QUEUE, activities=[undecorated])

    report = await run(shop)

    assert "undecorated missing attributes" in str(report.errors[0].__cause__)


async def test_a_shutdown_while_it_is_made(frontend: InThread) -> None:
    """What was made is let go of again: the client would refuse the next one of its kind."""
    ends_at_once = True

    class Ending(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            if ends_at_once:
                systems[0].shut_down("a deploy")
            return super().__iter__()

    client = await Client.connect(frontend.target)
    shop = Registry("shop")

    @shop.build
    def worker() -> temporal.Worker:
        systems.append(Lifetime.current().system)
        # With a build id: a start that was given up is not waited for until all code was read.
        return temporal.worker(
            client, task_queue=QUEUE, activities=Ending([greet]), build_id="greets"
        )

    systems: list[System] = []
    with pytest.raises(ClosedError) as raised:
        async with lifecycle.running(shop):
            pass
    ends_at_once = False
    report = await run(shop)

    assert raised.value.report is not None
    assert raised.value.report.outcome is Outcome.CLEAN
    assert report.outcome is Outcome.CLEAN


@pytest.mark.parametrize(
    "make",
    [
        lambda client: temporal.worker(client, task_queue=QUEUE, activities=[greet], tasks=1),
        lambda _: temporal.client("localhost:7233", name_space="default"),
    ],
    ids=["worker", "client"],
)
def test_unknown_options(make: Callable[[Any], Any]) -> None:
    """They are refused at once, where they are given."""
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        make(None)


def test_options_that_have_no_meaning_here() -> None:
    """It is said what to do instead."""
    client: Any = None
    with pytest.raises(TypeError, match="drain_timeout=…"):
        temporal.worker(
            client, task_queue=QUEUE, activities=[greet], graceful_shutdown_timeout=None
        )
    with pytest.raises(TypeError, match=r"nothing to do: give it `activities=\[…\]`"):
        temporal.worker(client, task_queue=QUEUE)


def test_on_trio() -> None:
    """It cannot run there, and says so."""
    client: Any = None
    worker = temporal.worker(client, task_queue=QUEUE, activities=[greet])

    for one in (temporal.client(), worker):

        async def enter(one: Any = one) -> None:
            async with one:
                pass

        with pytest.raises(RuntimeError, match=r"runs on asyncio and uvloop.*backend="):
            trio.run(enter)


def test_without_temporalio() -> None:
    """Whoever imports it is told what to install."""
    program = "import sys; sys.modules['temporalio'] = None; import lifecycle.integrations.temporal"
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert ran.stderr.splitlines()[-1] == (
        "ImportError: temporalio is not installed: pip install 'anyio-lifecycle[temporal]'"
    )
