"""Lives of single recipes, and what is to be seen of each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, Settings, events, requires
from tests.e2e.kit import GENEROUS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle import Component, System

NOW = Settings(check_ttl=0, check_timeout=20)
"""Each answer is of now, and no machine is too slow for it."""


def used_by(
    shop: Registry, handle: Component[Any], use: Callable[[Any], Awaitable[object]]
) -> Registry:
    """A part of the page, what that requires, and `user`, who uses it while it drains."""

    @shop.service
    async def user(life: Lifetime, part: Any = requires(handle)) -> None:
        life.started()
        await life.wait_draining()
        await use(part)

    return shop.only(user)


class Ends:
    """An observer: the order in which components drain and stop."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.ComponentDrained | events.ComponentStopped):
            what = "drained" if isinstance(event, events.ComponentDrained) else "stopped"
            self.seen.append(f"{event.component} {what}")


def no_thread_is_left() -> None:
    """See that nothing keeps the interpreter; a thread may need a moment for its last steps."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(GENEROUS)
            assert not thread.is_alive(), thread


def live(
    registry: Registry,
    body: Callable[[System], Awaitable[object]],
    backend: str = "asyncio",
    *observers: Callable[[events.Event], object],
) -> lifecycle.Report:
    """Run a registry, do something with it, and shut it down; gives the report."""

    async def main() -> lifecycle.Report:
        async with lifecycle.running(registry, NOW, observers=observers) as system:
            with anyio.fail_after(GENEROUS):
                await body(system)
            system.shut_down("enough")
            return await system.closed()

    if backend == "trio":
        return anyio.run(main, backend="trio")
    options = {"use_uvloop": backend == "uvloop"}
    return anyio.run(main, backend_options=options)
