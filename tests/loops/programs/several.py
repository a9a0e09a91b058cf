"""Several systems at once, in one process."""

from __future__ import annotations

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
else:
    Both().run()
