"""Components whose hooks take as long as a test says, or go wrong as it says."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from lifecycle import Component, Registry, System
    from tests.engine.kit import Life, Lived


def part(
    shop: Registry,
    name: str,
    *,
    start: float | Callable[[], Any] = 0,
    drain: float | Callable[[], Any] | None = None,
    stop: float | Callable[[], Any] = 0,
    **options: Any,
) -> Component[str]:
    """Declare a component; each hook takes some seconds, or is a function."""

    async def life() -> AsyncIterator[str]:
        await _do(start)
        yield name
        await _do(stop)

    component = shop.component(life, name=name, **options)
    if drain is not None:

        @component.drain
        async def _(value: str) -> None:
            assert value == name
            await _do(drain)

    return component


async def _do(hook: float | Callable[[], Any]) -> None:
    if callable(hook):
        result = hook()
        if result is not None:
            await result
    else:
        await anyio.sleep(hook)


def fail(text: str = "broken") -> None:
    """Be a hook that fails."""
    raise ValueError(text)


def forever() -> Any:
    """Be a hook that never ends, and lets itself be cancelled."""
    return anyio.sleep_forever()


def ignoring(seconds: float) -> Callable[[], Any]:
    """Make a hook that ignores its cancellation for some seconds."""

    async def hook() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(seconds)

    return hook


def unwinding(seconds: float) -> Callable[[], Any]:
    """Make a hook that never ends, and takes some seconds to unwind once it is cancelled."""

    async def hook() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(seconds)

    return hook


async def asked(system: System) -> None:
    """Be a body that asks for a shutdown, and waits for it."""
    system.shut_down("asked")
    await system.closed()


async def waiting(system: System) -> None:
    """Be a body that has nothing else to do."""
    await system.closed()


def end(life: Life, since: str = "asked to shut down") -> list[str]:
    """Give the transcript from the request on, without the errors."""
    found = [number for number, word in enumerate(life.words) if word.startswith(since)]
    return [_ERROR.sub("", line) for line in life.log[found[0] + 1 :]]


_ERROR = re.compile(r": \w+Error: .*", re.DOTALL)


def summary(lived: Lived) -> tuple[str, int, list[str]]:
    """Give outcome, code, and the types of the errors."""
    assert lived.report is not None
    report = lived.report
    return str(report.outcome), report.exit_code, [type(error).__name__ for error in report.errors]


def companion(
    life: Life, *, start: float = 0, stop: float | Callable[[], Any] = 0, name: str = "probe"
) -> Any:
    """Make a companion that notes what happens to it."""

    @asynccontextmanager
    async def run(system: System) -> AsyncIterator[None]:
        life.note(f"{name}: {system.status().phase}")
        await anyio.sleep(start)
        life.note(f"{name} is in")
        try:
            yield
        finally:
            life.note(f"{name}: {system.status().phase}")
            await _do(stop)
            life.note(f"{name} is out")

    run.__name__ = name
    return run
