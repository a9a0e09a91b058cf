"""Virtual time and the world outside: sockets, subprocesses, threads that are nobody's."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import anyio
import attrs
import pytest
import trio

from lifecycle import testing
from tests.testing.kit import ASYNCIO, in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW = 0.05
"""How long the world outside takes, in real seconds."""
LONGEST = 20.0
"""How long it takes at most where nobody is to wait for it, and how long a thread has to end."""


@attrs.frozen
class Echo:
    """A server in a thread of its own, which takes its time."""

    port: int
    may_answer: threading.Event
    """Nothing is sent before it is set, or after the longest time that there is."""


@pytest.fixture
def slow_echo() -> Iterator[Echo]:
    """Serve one connection."""
    may_answer = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(100):
                time.sleep(SLOW)  # blocks on purpose: the world outside is slow
                may_answer.wait(LONGEST)
                connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Echo(listener.getsockname()[1], may_answer)
        thread.join(LONGEST)
        assert not thread.is_alive()


def test_a_socket_under_hold(backend: str, slow_echo: Echo) -> None:
    """Time stands still while it is held, and timeouts with it."""
    slow_echo.may_answer.set()

    async def main() -> list[object]:
        clock = testing.clock()
        with clock.hold(), anyio.fail_after(0.001):
            async with await anyio.connect_tcp("127.0.0.1", slow_echo.port) as stream:
                await stream.send(b"first")
                first = await stream.receive()
                await stream.send(b"second")
                second = await stream.receive()
        now = clock.now
        await anyio.sleep(5)
        return [first, second, now, clock.now]

    assert [b"first", b"second", 0, 5] == in_virtual_time(backend, main)


def test_time_jumps_over_a_socket_that_nobody_holds_for(backend: str, slow_echo: Echo) -> None:
    """As if the world outside were infinitely slow: the error of one's own timeout."""

    async def main() -> float:
        with testing.clock().hold():
            stream = await anyio.connect_tcp("127.0.0.1", slow_echo.port)
        async with stream:
            await stream.send(b"data")
            with pytest.raises(TimeoutError), anyio.fail_after(1000):
                await stream.receive()
        return testing.clock().now

    try:
        # With more patience than it takes until the answer comes: whoever waits for it has it.
        assert 1000 == in_virtual_time(backend, main, patience=3 * LONGEST)
    finally:
        slow_echo.may_answer.set()


def test_what_can_be_read_is_read_before_time_moves(backend: str) -> None:
    """Data that has arrived needs no hold."""

    async def main() -> list[object]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        log: list[object] = []

        async def read() -> None:
            await anyio.wait_readable(ours)
            log.append((testing.clock().now, ours.recv(100)))

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.sleep(1)
            theirs.send(b"data")
            await anyio.sleep(1)
            log.append(testing.clock().now)
        ours.close()
        theirs.close()
        return log

    assert [(1, b"data"), 2] == in_virtual_time(backend, main)


def test_a_subprocess_under_hold(backend: str) -> None:
    """Its whole life takes no virtual time."""

    async def main() -> list[object]:
        with testing.clock().hold("a subprocess"), anyio.fail_after(0.001):
            done = await anyio.run_process([sys.executable, "-c", "print('done')"])
        return [done.stdout, done.returncode, testing.clock().now]

    # On a busy machine it takes many seconds until an interpreter has begun.
    assert [b"done\n", 0, 0] == in_virtual_time(backend, main, patience=60)


def test_holds_nest_and_overlap(backend: str) -> None:
    """Time goes on when the last of them is released, in whatever thread that is."""

    async def main() -> list[float]:
        clock = testing.clock()
        times: list[float] = []

        async def sleep() -> None:
            await anyio.sleep(1)
            times.append(clock.now)

        def hold() -> None:
            with clock.hold():
                held.set()
                released.wait(20)
                time.sleep(SLOW)  # blocks on purpose: so that time had time to go on
                times.append(clock.now)

        held, released = threading.Event(), threading.Event()
        thread = threading.Thread(target=hold)
        async with anyio.create_task_group() as group:
            with clock.hold():
                thread.start()
                held.wait(20)
                group.start_soon(sleep)
                with clock.hold():
                    pass
            released.set()
        thread.join(20)
        return times

    assert [0, 1] == in_virtual_time(backend, main)


def test_a_thread_of_nobodys_calls_back(backend: str) -> None:
    """Where nothing is due, the world outside is waited for."""

    async def main() -> str:
        send, receive = anyio.create_memory_object_stream[str](1)
        soon: Callable[[Callable[[], object]], object]
        if backend == "trio":
            soon = trio.lowlevel.current_trio_token().run_sync_soon
        else:
            soon = asyncio.get_running_loop().call_soon_threadsafe

        def call_back() -> None:
            time.sleep(SLOW)  # blocks on purpose: until all wait for it
            soon(lambda: send.send_nowait("from outside"))

        thread = threading.Thread(target=call_back)
        thread.start()
        async with send, receive:
            got = await receive.receive()
        thread.join(20)
        return got

    assert "from outside" == in_virtual_time(backend, main)


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
def test_a_signal_arrives(backend: str) -> None:
    """Handlers of the loop's run in virtual time, too."""

    async def main() -> list[object]:
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            signal.raise_signal(signal.SIGUSR1)
            async for number in signals:
                return [number, testing.clock().now]
        return []

    assert [signal.SIGUSR1, 0] == in_virtual_time(backend, main)


@pytest.mark.parametrize("backend", ASYNCIO)
def test_the_default_executor_has_time_to_end(backend: str) -> None:
    """Its threads are joined in real time, whatever timeout there is for that."""
    ended: list[str] = []

    async def main() -> None:
        def work() -> None:
            time.sleep(SLOW)  # blocks on purpose: the loop is to be over before
            ended.append("work")

        future = asyncio.get_running_loop().run_in_executor(None, work)
        assert not future.done()

    in_virtual_time(backend, main)
    assert ["work"] == ended
