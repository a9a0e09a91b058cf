"""`testing.check_component`: what it finds, and that it finds nothing in good components."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from lifecycle import Registry, requires, testing
from lifecycle.errors import UnknownComponentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


PATIENT = 4.0
"""For how many real seconds a hook may run without awaiting, on a machine with much else to do."""


class Client:
    """An object that behaves."""

    async def start(self) -> None:
        await anyio.sleep(0.1)

    async def drain(self) -> None:
        await anyio.sleep(0.1)

    async def stop(self) -> None:
        await anyio.sleep(0.1)


async def pool() -> AsyncIterator[str]:
    """Behave, with a task group of its own."""
    await anyio.sleep(0.1)
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        yield "pool"
        await anyio.sleep(0.1)
        group.cancel_scope.cancel()


def connection() -> Iterator[str]:
    """Behave, in a thread."""
    yield "connection"


@pytest.mark.parametrize("component", [Client, pool, connection])
def test_what_behaves_is_found_to(component: Callable[[], object]) -> None:
    """Whoever owns its life: an object, a generator, a thread."""
    conformance = testing.check_component(component, blocks_after=PATIENT)

    assert () == conformance.found
    assert str(conformance).endswith("it behaves")


def test_a_component_of_a_registry_is_checked_with_what_it_requires() -> None:
    """By its handle; what it requires may be found in a changed copy."""
    shop = Registry("shop")

    @shop.component
    def database() -> str:
        message = "no database here"
        raise OSError(message)

    @shop.component
    async def jobs(database: str = requires(database)) -> str:
        await anyio.sleep(1)
        return database

    with pytest.raises(testing.ConformanceError, match="no database here"):
        testing.check_component(jobs)
    fake = shop.override(database.to("fake"))
    testing.check_component(jobs, registry=fake, blocks_after=PATIENT)


def test_a_component_that_is_not_in_the_registry_is_a_mistake() -> None:
    """It is said as by `plan()`."""
    shop = Registry("shop")

    @shop.component
    async def jobs() -> str:
        return "jobs"

    with pytest.raises(UnknownComponentError, match="'jobs'"):
        testing.check_component(jobs, registry=Registry("another"))


# --- what does not behave ------------------------------------------------------------------------


async def swallows() -> AsyncIterator[str]:
    """Go on when cancelled."""
    try:
        await anyio.sleep(0.1)
    except anyio.get_cancelled_exc_class():
        pass
    yield "value"


async def cleanup_needs_the_start() -> AsyncIterator[str]:
    """Clean up what was not made yet."""
    made: list[str] = []
    try:
        await anyio.sleep(0.1)
        made.append("connection")
        yield made[0]
    finally:
        made.pop()


async def unwinds_slowly() -> AsyncIterator[str]:
    """Take long to unwind."""
    try:
        await anyio.sleep(0.1)
        yield "value"
        await anyio.sleep(11)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(20)


async def blocks() -> AsyncIterator[str]:
    """Block the loop."""
    time.sleep(5)  # noqa: ASYNC251  # blocks on purpose: that is what is to be found
    yield "value"


async def leaks_a_task() -> AsyncIterator[str]:
    """Leave a task."""
    task = asyncio.create_task(asyncio.sleep(1e9), name="forgotten")
    yield "value"
    del task


FORGOTTEN: list[threading.Event] = []
"""What ends the threads that were left."""


async def leaks_a_thread() -> AsyncIterator[str]:
    """Leave a thread."""
    over = threading.Event()
    FORGOTTEN.append(over)
    threading.Thread(target=over.wait, name="forgotten", daemon=True).start()
    yield "value"


class Once:
    """Cannot be started twice."""

    started = False

    async def start(self) -> None:
        await anyio.lowlevel.checkpoint()
        if self.started:
            message = "it was started before"
            raise RuntimeError(message)
        self.started = True


def used_twice(once: list[Once] = []) -> Once:  # noqa: B006  the same one each time
    """Give the same object each time."""
    once.append(Once())
    return once[0]


@pytest.mark.parametrize(
    ("component", "found"),
    [
        (swallows, "its start, at wait 1, swallows its cancellation, and goes on"),
        (
            cleanup_needs_the_start,
            "its start, at wait 1, fails: its cleanup fails, too: IndexError",
        ),
        (unwinds_slowly, "as it is: the stop of 'unwinds_slowly' went on after it was cancelled"),
        (blocks, "its start blocks the event loop, at"),
        (leaks_a_task, "as it is: it left the task 'forgotten' behind"),
        (leaks_a_thread, "as it is: it left the thread 'forgotten' behind"),
        (used_twice, "when it is run a second time: StartError: 'used_twice' did not start"),
    ],
)
def test_what_does_not_behave_is_found(component: Callable[[], object], found: str) -> None:
    """The error says where, and what."""
    with pytest.raises(testing.ConformanceError) as caught:
        testing.check_component(component, backends=["asyncio"])
    while FORGOTTEN:
        FORGOTTEN.pop().set()

    assert found in str(caught.value)


def test_who_blocks_the_loop_is_shown() -> None:
    """With the line in which it does."""
    with pytest.raises(testing.ConformanceError, match=r"time\.sleep\(5\)"):
        testing.check_component(blocks, backends=["asyncio"])
