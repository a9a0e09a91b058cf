"""From SIGTERM to not ready, on an idle loop and on a busy one; real time.

Against a readiness that the loop turns off, as `loop.add_signal_handler` does it. The signals come
from another process. The busy loop computes for 5 to 35 ms at a time.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import anyio

from benchmarks import graphs, ours
from benchmarks.measuring import Heading, Line, microseconds, row
from lifecycle import signals

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

TRIALS, QUICK = 60, 5
SHORTEST, LONGEST = 0.005, 0.035


def measure(*, quick: bool) -> Iterator[Line]:
    """Send signals to a process that notes when it was ready no longer."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    receiver = context.Process(target=_receive, args=(theirs,))
    receiver.start()
    pid: int = mine.recv()
    trials = QUICK if quick else TRIALS
    for busy in (False, True):
        taken = []
        for trial in range(trials):
            which = ("handler", "loop") if trial % 2 else ("loop", "handler")
            times = {each: _send(mine, pid, each, busy=busy) for each in which}
            taken.append((times["handler"], times["loop"]))
        by_handler, by_loop = (sorted(times) for times in zip(*taken, strict=True))
        yield Heading(f"on {'a busy' if busy else 'an idle'} loop")
        yield row(
            "against a flip by the loop",
            [handler / loop for handler, loop in taken],
            aim=0.1 if busy else 1.5,
            note=f"{_spread(by_handler)} to {_spread(by_loop)}",
        )
    mine.send(None)
    receiver.join()


def _spread(times: list[float]) -> str:
    return f"{microseconds(times[len(times) // 2])} (longest {microseconds(times[-1])})"


def _send(receiver: Connection, pid: int, which: str, *, busy: bool) -> float:
    """One signal; returns how many seconds later it had its effect."""
    receiver.send((which, busy))
    receiver.recv()  # it is ready
    time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  somewhere in what it computes
    sent = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    flipped: float = receiver.recv()
    return flipped - sent


# --- the receiver --------------------------------------------------------------------------------


def _receive(sender: Connection) -> None:
    """Run one system, or loop, after the other, as a process of its own."""
    sender.send(os.getpid())
    while (asked := sender.recv()) is not None:
        which, busy = asked
        flipped = anyio.run(_by_handler if which == "handler" else _by_loop, sender, busy)
        sender.send(flipped)


async def _by_handler(sender: Connection, busy: bool) -> float:  # noqa: FBT001
    noted: list[float] = []
    with signals.handling() as handling:
        async with ours.system(graphs.wide(3)) as system:
            handling.attach(system)
            handler: Any = signal.getsignal(signal.SIGTERM)

            def and_note(number: int, frame: Any) -> None:
                handler(number, frame)
                noted.append(time.monotonic())
                assert not system.status().ready  # noqa: S101  else there is nothing to time

            before = signal.signal(signal.SIGTERM, and_note)
            sender.send("ready")
            await _until(lambda: bool(noted), busy=busy)
            signal.signal(signal.SIGTERM, before)
    return noted[0]


async def _by_loop(sender: Connection, busy: bool) -> float:  # noqa: FBT001
    import asyncio  # noqa: PLC0415  the peer is asyncio's

    noted: list[float] = []
    loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: noted.append(time.monotonic()))
    sender.send("ready")
    await _until(lambda: bool(noted), busy=busy)
    loop.remove_signal_handler(signal.SIGTERM)
    return noted[0]


async def _until(is_over: Callable[[], bool], *, busy: bool) -> None:
    """Sleep, or compute, until something has happened."""
    dice = random.Random()  # noqa: S311
    while not is_over():
        if busy:
            ends = time.monotonic() + dice.uniform(SHORTEST, LONGEST)
            while time.monotonic() < ends:
                pass
        await anyio.sleep(0 if busy else 0.01)
