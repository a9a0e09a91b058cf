"""Running an async function in virtual time."""

from __future__ import annotations

import contextlib
import functools
import math
from typing import TYPE_CHECKING, TypeVar

import anyio
from typing_extensions import TypeVarTuple, Unpack

from lifecycle.instruments import instrumented
from lifecycle.testing._backends import backend as make_backend
from lifecycle.testing._clock import current
from lifecycle.testing._interleaving import Interleaving
from lifecycle.testing._workers import HoldTime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle.instruments import Instrument
    from lifecycle.testing._backends import Backend
    from lifecycle.testing._timeline import Timeline
    from lifecycle.testing._virtual_clock import VirtualClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def run(  # noqa: PLR0913  what there is to say of a run
    async_fn: Callable[[Unpack[Ts]], Awaitable[T]],
    *args: Unpack[Ts],
    backend: Backend = "asyncio",
    seed: int | None = None,
    eager_tasks: bool = False,
    patience: float = 20.0,
    limit: float = math.inf,
) -> T:
    """Run an async function in virtual time, which begins at 0.

    Time stands still as long as anything can run, and jumps to what is due next when all wait. All
    timing functions of anyio, asyncio and trio run on it. `clock` gives the clock.

    Args:
        async_fn: what to run.
        *args: what to call it with.
        backend: the event loop, asyncio or trio; uvloop cannot be virtual.
        seed: makes tasks late that could run, by turns that follow from it; the same one gives the
            same order each time, another a different one. None: first come, first served.
        eager_tasks: run on asyncio with `asyncio.eager_task_factory`.
        patience: for how many real seconds to wait for the world outside: threads, sockets,
            subprocesses, and what holds time.
        limit: for how many virtual seconds it may run; what goes on then is cancelled, and what
            goes on even then is left behind, with a wrecked event loop. So is what never waits, and
            so keeps time from moving, when `patience` is over.

    Returns:
        What it returns.

    Raises:
        StalledError: all wait, and nothing can end that, or `limit` is over. What ran was cancelled
            before.
        ValueError: there is no virtual time on this backend, or no eager tasks.
        ImportError: trio is not installed.

    """
    name, options = make_backend(backend, seed=seed, eager_tasks=eager_tasks, patience=patience)
    begun: list[Timeline] = []

    @functools.wraps(async_fn)
    async def guarded() -> T:
        begun.append(current())
        begun[0].limit = limit
        return await guard(async_fn, *args)

    with contextlib.ExitStack() as within:
        within.enter_context(instrumented(HoldTime()))
        if name == "trio" and seed is not None:
            within.enter_context(instrumented(_turnstile(seed, options["clock"])))
        try:
            if name == "trio":
                import trio  # noqa: PLC0415  an extra; anyio 4.8 ignores the options for it

                return trio.run(guarded, **options)
            return anyio.run(guarded, backend_options=options)
        except Exception as error:
            # What stalls even while it is cancelled wrecks the event loop, and trio says so.
            stalled = begun[0].stalled if begun else None
            if stalled is None or error is stalled:
                raise
            raise stalled from error


def _turnstile(seed: int, clock: VirtualClock) -> Instrument:
    from lifecycle.testing._turnstile import Turnstile  # noqa: PLC0415  an extra

    return Turnstile(Interleaving(seed), clock)


async def guard(async_fn: Callable[[Unpack[Ts]], Awaitable[T]], *args: Unpack[Ts]) -> T:
    """Call an async function; where it stalls, cancel it, and raise the error that says so."""
    timeline = current()
    timeline.stalled = None
    error: Exception | None = None
    results: list[T] = []
    try:
        with anyio.CancelScope() as scope:
            timeline.give_up = scope.cancel
            results.append(await async_fn(*args))
    except Exception as raised:
        if timeline.stalled is None:
            raise
        error = raised
    finally:
        timeline.give_up = None
    if timeline.stalled is not None:
        raise timeline.stalled from error
    return results[0]
