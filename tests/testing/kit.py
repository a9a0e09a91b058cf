"""What the tests of virtual time share: the same function in real time and in virtual time."""

from __future__ import annotations

import asyncio
import functools
import random
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import attrs
import pytest
import trio

from lifecycle import testing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

ASYNCIO = ("asyncio", *(("eager",) if sys.version_info >= (3, 12) else ()))
BACKENDS = (*ASYNCIO, "trio")

UNIT = 0.01
"""How long a second of a scenario takes where time is real. A machine that stands still for a while
changes nothing: no scenario depends on a duration being short."""

_random = random.Random(0)  # noqa: S311  not for secrets
ANY_TIMES = [_random.uniform(1, 10) * 10.0**n for n in range(-3, 10) for _ in range(2)]
"""Times of all magnitudes."""


def in_real_time(backend: str, function: Callable[[], Awaitable[T]]) -> T:
    """Run an async function on the event loop as everybody has it."""
    if backend == "trio":
        return trio.run(function)
    options = {"loop_factory": eager if backend == "eager" else None}
    return anyio.run(function, backend_options=options)


def in_virtual_time(backend: str, function: Callable[[], Awaitable[T]], **options: Any) -> T:
    """Run it in virtual time."""
    if backend == "eager":
        return testing.run(function, eager_tasks=True, **options)
    return testing.run(function, backend="trio" if backend == "trio" else "asyncio", **options)


def eager() -> asyncio.AbstractEventLoop:
    """Make an event loop with eager tasks."""
    loop = asyncio.new_event_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


# --- scenarios -----------------------------------------------------------------------------------


@attrs.frozen
class Scenario:
    """What a library documents of time, as a function that runs in any time."""

    function: Callable[[float], Awaitable[Any]]
    """Is given how long a second is, and returns what is to be compared."""
    expected: Any
    """What it returns, in every time."""
    takes: float
    """How long it takes, to the last bit, in virtual seconds."""

    def check(self, backend: str) -> None:
        """It does the same in both times, and that is what is documented."""

        async def timed() -> tuple[Any, float]:
            return await self.function(1.0), testing.clock().now

        virtual, now = in_virtual_time(backend, timed)
        assert self.expected == virtual
        assert self.takes == now
        real = in_real_time(backend, functools.partial(self.function, UNIT))
        assert virtual == real


class Scenarios:
    """A table of them, filled by a decorator."""

    def __init__(self) -> None:
        self._all: list[Any] = []

    def __call__(
        self, expected: Any, *, takes: float, needs: bool = True
    ) -> Callable[[Callable[[float], Awaitable[Any]]], None]:
        """Add a function.

        Args:
            expected: what it returns.
            takes: for how many virtual seconds it runs.
            needs: whether what it needs is there; on old Pythons not all is.

        """

        def add(function: Callable[[float], Awaitable[Any]]) -> None:
            skip = pytest.mark.skipif(not needs, reason="not in this version")
            scenario = Scenario(function, expected, takes)
            self._all.append(pytest.param(scenario, id=function.__name__, marks=skip))

        return add

    @property
    def parametrize(self) -> pytest.MarkDecorator:
        """Run a test once for each of them, as its `scenario`."""
        return pytest.mark.parametrize("scenario", self._all)
