"""Several systems at once, in one process."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, Settings, signals
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
MODE = sys.argv[2]
UP: dict[str, anyio.Event] = {}


def shop_of(name: str) -> Registry:
    shop = Registry(name)

    @shop.component
    async def database() -> AsyncIterator[None]:
        say(name, "opened")
        yield
        say(name, "closed")

    return shop


async def watch(name: str, system: lifecycle.System) -> None:
    report = await system.closed()
    say(name, report.outcome, report.reason)


async def one_loop() -> None:
    """Two that asked for signals, and one that did not."""
    with signals.handling() as first, signals.handling() as second:
        async with (
            lifecycle.running(shop_of("silent")) as silent,
            lifecycle.running(shop_of("one")) as one,
            lifecycle.running(shop_of("two")) as two,
        ):
            first.attach(one)
            second.attach(two)
            say("ready")
            await watch("one", one)
            await watch("two", two)
            say("silent", silent.status().phase)


async def alone(name: str, ends: anyio.Event | None = None) -> None:
    """A system that takes signals by itself."""
    with signals.handling() as handling:
        async with lifecycle.running(shop_of(name)) as system:
            handling.attach(system)
            UP[name].set()
            if ends is None:
                await watch(name, system)
            else:
                await ends.wait()


async def in_any_order() -> None:
    """Two that take signals by themselves; the one that has begun to first ends first."""
    UP.update(one=anyio.Event(), two=anyio.Event())
    ends = anyio.Event()
    async with anyio.create_task_group() as second:
        async with anyio.create_task_group() as first:
            first.start_soon(alone, "one", ends)
            await UP["one"].wait()
            second.start_soon(alone, "two")
            await UP["two"].wait()
            ends.set()
        say("ready")
        if MODE == "one ends, and another thread takes the signal":
            threading.Timer(0.5, take_a_signal).start()
    say("restored:", signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)


def take_a_signal() -> None:
    """Have SIGTERM interrupt this thread, and not the one that waits in the event loop."""
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


class Both:
    """A program in the main thread, and a system in another, which asks for signals, too."""

    def __init__(self) -> None:
        self.is_up = threading.Event()
        self.ends = threading.Event()

    def run(self) -> None:
        with signals.handling() as handling:
            other = threading.Thread(target=self.in_thread, args=(handling,))
            other.start()
            self.is_up.wait()
            lifecycle.run(shop_of("program"), Settings(), backend=BACKEND)
            say("program has ended")
            other.join()

    def in_thread(self, handling: signals.Handling) -> None:
        async def main() -> None:
            async with lifecycle.running(shop_of("thread")) as system:
                handling.attach(system)
                self.is_up.set()
                await watch("thread", system)

        run(main)


def run(main: Any) -> None:
    """Run an async function on the event loop that is asked for."""
    options: dict[str, Any] = {"use_uvloop": True} if BACKEND == "uvloop" else {}
    name = "trio" if BACKEND == "trio" else "asyncio"
    anyio.run(main, backend=name, backend_options=options)


if MODE == "one loop":
    run(one_loop)
elif MODE.startswith("one ends"):
    run(in_any_order)
else:
    Both().run()
