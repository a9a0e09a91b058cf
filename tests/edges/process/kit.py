"""Programs of a few lines, and systems that run them."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import anyio
import attrs

import lifecycle
from lifecycle import Registry, Report, Settings, System
from lifecycle.errors import one_line
from lifecycle.integrations.process import Process, pool, process
from tests.e2e.kit import GENEROUS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.edges.witness import Witness


def script(text: str, witness: Witness | None = None) -> list[str]:
    """Make the arguments of a shell script, which holds the witness open as its descriptor 9."""
    held = "" if witness is None else f"exec 9>'{witness.path}'\n"
    return ["sh", "-c", held + text]


def sh(text: str, witness: Witness | None = None, **options: Any) -> Process:
    """Make a component of a shell script."""
    return process(script(text, witness), **options)


def shs(number: int, text: str, witness: Witness | None = None, **options: Any) -> Process:
    """Make a pool of a shell script."""
    return pool(number, script(text, witness), **options)


def py(text: str, *args: str) -> list[str]:
    """Make the arguments of a Python program."""
    return [sys.executable, "-I", "-S", "-c", text, *args]


STAY = "echo up >&9; while :; do sleep 1000 & wait; done"
"""The words for: say that you are up, and stay until a signal comes."""
DEAF = f"trap '' TERM QUIT; {STAY}"


@attrs.define
class Lived:
    """What came of a system."""

    report: Report | None = None
    error: BaseException | None = None

    @property
    def errors(self) -> list[str]:
        """All errors of the report, each as one line."""
        assert self.report is not None
        return [one_line(error) for error in self.report.errors]

    @property
    def exit_code(self) -> int:
        """The exit code that `run` would end with."""
        assert self.report is not None
        return self.report.exit_code


async def live(
    shop: Registry,
    body: Callable[[System], Awaitable[object]] | None = None,
    settings: Settings | None = None,
) -> Lived:
    """Run a whole system, which ends with its body; at most so long that nothing hangs."""
    lived = Lived()
    system: System | None = None
    with anyio.fail_after(GENEROUS):
        try:
            async with lifecycle.running(shop, settings) as system:
                if body is not None:
                    await body(system)
        except (lifecycle.errors.RunError, lifecycle.errors.DefinitionError) as error:
            lived.error = error
            lived.report = getattr(error, "report", None)
        if system is not None:
            lived.report = system.report
    return lived


def shop_of(part: Process, **options: Any) -> Registry:
    """Make a registry of one program, called ``part``."""
    shop = Registry("shop")
    shop.add(part, name="part", **options)
    return shop


@contextlib.asynccontextmanager
async def starting(
    part: Process, settings: Settings | None = None, **options: Any
) -> AsyncGenerator[Starting]:
    """Start a system beside the body, which has it end as soon as it runs."""
    starting = Starting()

    async def body(system: System) -> None:
        starting.is_ready.set()
        await starting.go_on.wait()

    async def run() -> None:
        starting.lived = await live(shop_of(part, **options), body, settings)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            yield starting
        except BaseException:
            tasks.cancel_scope.cancel()
            raise
        starting.go_on.set()


class Starting:
    """A system that starts."""

    def __init__(self) -> None:
        self.is_ready = anyio.Event()
        self.go_on = anyio.Event()
        self.lived = Lived()
