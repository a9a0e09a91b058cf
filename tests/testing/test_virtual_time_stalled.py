"""A wait that nothing can end is an error, and not a hang."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import lifecycle
from lifecycle import Registry, testing
from lifecycle.testing import StalledError
from tests.testing.kit import ASYNCIO, in_virtual_time

SOON, GENEROUS = 0.05, 60.0
"""How long a run may wait for the world outside, in real seconds."""


def stalls(backend: str, main: Any, **options: Any) -> StalledError:
    """Run something that stalls; returns the error."""
    with pytest.raises(StalledError) as raised:
        in_virtual_time(backend, main, **options)
    return raised.value


def said(error: StalledError) -> str:
    """What it says, without what is different on each machine."""
    text = re.sub(r"'[^']*<locals>\.", "'", str(error))
    return re.sub(r"at /\S*/(\w+\.py):\d+", r"at \1", text)


def test_it_says_who_waits_for_what(backend: str) -> None:
    """Each task by its name, the function that it waits in, and the line that called it."""

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(consume, name="consumer")
            await anyio.sleep(2.5)
            await anyio.Event().wait()

    async def consume() -> None:
        send, receive = anyio.create_memory_object_stream[str](0)
        async with send, receive:
            await take(receive)

    async def take(receive: Any) -> None:
        await receive.receive()

    error = stalls(backend, main)
    assert 2.5 == error.now
    assert not any(__file__ in stack for stack in error.threads)
    assert {"consumer": "MemoryObjectReceiveStream.receive"}.items() <= {
        wait.task: wait.what for wait in error.waits
    }.items()
    assert (
        "at 2.5 s of virtual time all wait, and nothing can end that:\n"
        "no timer is due, no thread works, and no I/O is ready; who waits:\n"
        "  'main' waits in Event.wait, at test_virtual_time_stalled.py in main: "
        "await anyio.Event().wait()\n"
        "  'consumer' waits in MemoryObjectReceiveStream.receive, "
        "at test_virtual_time_stalled.py in take: await receive.receive()"
    ) == said(error)


def test_it_comes_at_once(backend: str) -> None:
    """Where nobody is outside, and where the threads of pools have nothing to do."""

    async def main() -> None:
        await anyio.to_thread.run_sync(int)
        if backend != "trio":
            await asyncio.to_thread(int)
        await anyio.Event().wait()

    stalls(backend, main, patience=3600)


def test_what_waited_cleans_up(backend: str) -> None:
    """It is cancelled, and time goes on for its cleanup, before the error is raised."""
    log: list[str] = []

    async def main() -> None:
        try:
            await anyio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
                log.append(f"cleaned up at {testing.clock().now:g}")

    stalls(backend, main)
    assert ["cleaned up at 2"] == log


def test_an_error_of_the_cleanup_is_its_cause(backend: str) -> None:
    """It hides nothing."""

    async def main() -> None:
        try:
            await anyio.Event().wait()
        finally:
            message = "the cleanup failed"
            raise LookupError(message)

    cause = stalls(backend, main).__cause__
    assert "LookupError('the cleanup failed')" == repr(cause)


def test_swallowing_the_cancellation_does_not_help(backend: str) -> None:
    """The error is raised all the same."""

    async def main() -> str:
        try:
            await anyio.Event().wait()
        except anyio.get_cancelled_exc_class():
            return "nothing happened"
        return "never"

    stalls(backend, main)


def test_a_cleanup_that_stalls_too(backend: str) -> None:
    """It is told, and does not hang either."""

    async def main() -> None:
        try:
            await anyio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.Event().wait()

    error: Any = stalls(backend, main)
    (note,) = error.__notes__
    assert note.startswith("And what was cancelled does not end: at 0 s of virtual time all wait")


def test_a_system_that_stalls(backend: str) -> None:
    """It is shut down in order, and the error says who waits."""
    shop, log = Registry("shop"), list[str]()

    @shop.component
    async def database() -> Any:
        yield 1
        await anyio.sleep(1)
        log.append("closed")

    async def main() -> None:
        async with lifecycle.running(shop):
            await anyio.Event().wait()

    error = stalls(backend, main)
    assert any("await anyio.Event().wait()" in wait.where for wait in error.waits)
    assert ["closed"] == log


def test_what_goes_on_for_too_long(backend: str) -> None:
    """Where a run has a limit, it is given up when that is over."""

    async def main() -> None:
        for _ in range(100):
            await anyio.sleep(7)

    error = stalls(backend, main, limit=100)
    assert "it was to end within 100 s of virtual time, and goes on" == error.reason
    assert 98 == error.now


def test_what_never_waits(backend: str) -> None:
    """Where a run has a limit, it is given up when its patience is over: time cannot move."""

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            while True:
                with contextlib.suppress(anyio.get_cancelled_exc_class()):  # the mistake
                    await anyio.sleep(1)

    error = stalls(backend, main, limit=100, patience=SOON)
    assert (
        "something runs, time after time, for 0.05 s of real time, and never waits: "
        "does it swallow its cancellation?"
    ) == error.reason


def test_what_has_much_to_do(backend: str) -> None:
    """A run without a limit may be busy for as long as it takes."""

    async def main() -> float:
        for _ in range(20_000):
            await anyio.lowlevel.checkpoint()
        return testing.clock().now

    assert 0 == in_virtual_time(backend, main, patience=SOON)


# --- with the world outside ----------------------------------------------------------------------


def test_a_socket_is_waited_for_as_long_as_there_is_patience(backend: str) -> None:
    """Something may arrive, but not for ever."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            await anyio.wait_readable(ours)

    error = stalls(backend, main, patience=SOON)
    assert error.waits[0].what.endswith("wait_readable")


def test_a_hold_that_is_not_released(backend: str) -> None:
    """It is named, by its reason, or by the line that holds."""

    async def main() -> None:
        clock = testing.clock()
        assert SOON == clock.patience
        with clock.hold("the database"), clock.hold():
            await anyio.sleep(1)

    text = said(stalls(backend, main, patience=SOON))
    assert (
        "at 0 s of virtual time all wait, and nothing can end that:\n"
        "time stands still for the database, hold() at test_virtual_time_stalled.py, "
        "and nothing has happened for 0.05 s of real time; who waits:\n"
        "  'main' waits in sleep, at test_virtual_time_stalled.py in main: await anyio.sleep(1)"
    ) == text


def test_a_thread_that_works_for_too_long(backend: str) -> None:
    """It is named, with its stack."""
    is_in, go_on = threading.Event(), threading.Event()

    def get_stuck() -> None:
        is_in.set()
        go_on.wait()

    async def get_in() -> None:
        await anyio.to_thread.run_sync(get_stuck, abandon_on_cancel=True)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(get_in)
            await anyio.to_thread.run_sync(
                is_in.wait
            )  # on a busy machine it takes its time to begin
            testing.clock().patience = SOON
            await anyio.sleep(1)

    try:
        error = stalls(backend, main)
    finally:
        go_on.set()
    assert "time stands still for a worker thread, and nothing" in error.reason
    assert any("in get_stuck\n" in stack for stack in error.threads)  # beside what others left


def test_a_components_thread_that_works_for_too_long(backend: str) -> None:
    """It is named by the component; the cleanup waits for it."""
    shop = Registry("shop")
    is_in, go_on = threading.Event(), threading.Event()

    @shop.component
    def legacy() -> int:
        is_in.set()
        go_on.wait()
        return 1

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(unblock)
            async with lifecycle.running(shop):
                pass

    async def unblock() -> None:
        await anyio.to_thread.run_sync(
            is_in.wait
        )  # on a busy machine it takes its time to begin, and to end
        testing.clock().patience = SOON
        try:
            await anyio.sleep_forever()
        finally:
            testing.clock().patience = GENEROUS
            go_on.set()

    error = stalls(backend, main)
    assert "time stands still for the thread of 'legacy', and nothing" in error.reason


def test_time_that_nobody_moves(backend: str) -> None:
    """Where time does not move by itself, somebody has to."""

    async def main() -> None:
        testing.clock().auto = False
        try:
            await anyio.sleep(1)
        finally:
            testing.clock().auto = True

    error = stalls(backend, main)
    assert "time moves only by `advance` (auto is off), and nobody calls it" == error.reason


# --- what has no virtual time --------------------------------------------------------------------


def test_uvloop_is_refused() -> None:
    """It says why, and what to use."""
    with pytest.raises(ValueError, match=r"uvloop has a clock of its own, in C.*: use 'asyncio'"):
        testing.run(anyio.sleep_forever, backend="uvloop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_an_unknown_backend_is_refused() -> None:
    """It says which there are."""
    with pytest.raises(ValueError, match="backend is 'curio', but must be 'asyncio' or 'trio'"):
        testing.run(anyio.sleep_forever, backend="curio")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_eager_tasks_where_there_are_none() -> None:
    """On trio, and on old Pythons."""
    with pytest.raises(ValueError, match="eager_tasks is an option of asyncio's; trio has none"):
        testing.run(anyio.sleep_forever, backend="trio", eager_tasks=True)
    if "eager" not in ASYNCIO:
        with pytest.raises(ValueError, match=r"eager_tasks needs Python 3\.12"):
            testing.run(anyio.sleep_forever, eager_tasks=True)
