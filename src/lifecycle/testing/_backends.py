"""What makes event loops that run in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any, Literal

from lifecycle.instruments import instrumented
from lifecycle.testing._clock import CURRENT, FakeClock
from lifecycle.testing._interleaving import Interleaving
from lifecycle.testing._timeline import Timeline
from lifecycle.testing._virtual_loop import VirtualLoop
from lifecycle.testing._workers import HoldTime

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeAlias

    from lifecycle.testing._virtual_clock import VirtualClock

    Backend: TypeAlias = Literal["asyncio", "trio"]


class VirtualLoops:
    """Makes asyncio's event loops: each begins at 0, and makes the same decisions."""

    def __init__(
        self, timeline: Timeline, interleaving: Interleaving, *, eager_tasks: bool
    ) -> None:
        """Choose what they are like."""
        self.timeline = timeline
        self.clock = FakeClock(timeline)
        self._interleaving = interleaving
        self._eager_tasks = eager_tasks

    def __call__(self) -> VirtualLoop:
        """Make one."""
        loop = VirtualLoop(self.timeline, self._interleaving)
        if self._eager_tasks and sys.version_info >= (3, 12):
            loop.set_task_factory(asyncio.eager_task_factory)
        return loop


def backend(
    name: Backend,
    *,
    seed: int | None = None,
    eager_tasks: bool = False,
    patience: float = 20.0,
) -> tuple[str, dict[str, Any]]:
    """Make a backend of anyio's that runs in virtual time.

    For ``anyio.run(f, backend=name, backend_options=options)``, and for the fixture
    `anyio_backend`. Each run begins at 0.

    Args:
        name: asyncio or trio.
        seed: as for `run`.
        eager_tasks: as for `run`.
        patience: as for `run`.

    Returns:
        Its name, and its options.

    Raises:
        ValueError: there is no virtual time on this backend, or no eager tasks.
        ImportError: trio is not installed.

    """
    _check(name, eager_tasks=eager_tasks)
    timeline = Timeline(patience)
    if name == "trio":
        return name, {"clock": _virtual_clock(timeline)}
    loops = VirtualLoops(timeline, Interleaving(seed), eager_tasks=eager_tasks)
    return name, {"loop_factory": loops}


def virtual(options: dict[str, Any]) -> VirtualLoops | VirtualClock | None:
    """What makes time virtual in the options of a backend; None: nothing, it is real."""
    makes = options.get("loop_factory") or options.get("clock")
    return makes if isinstance(getattr(makes, "timeline", None), Timeline) else None


@contextlib.contextmanager
def in_force(timeline: Timeline) -> Generator[None]:
    """Let the threads of systems that are entered within hold time, and know the clock."""
    token = CURRENT.set(FakeClock(timeline))
    try:
        with instrumented(HoldTime(timeline.workers)):
            yield
    finally:
        CURRENT.reset(token)


def _check(name: str, *, eager_tasks: bool) -> None:
    if name == "uvloop":
        message = "uvloop has a clock of its own, in C, which cannot be virtual: use 'asyncio'"
        raise ValueError(message)
    if name not in ("asyncio", "trio"):
        message = f"backend is {name!r}, but must be 'asyncio' or 'trio'"
        raise ValueError(message)
    if eager_tasks and name == "trio":
        message = "eager_tasks is an option of asyncio's; trio has none"
        raise ValueError(message)
    if eager_tasks and sys.version_info < (3, 12):
        message = "eager_tasks needs Python 3.12, the first that has asyncio.eager_task_factory"
        raise ValueError(message)


def _virtual_clock(timeline: Timeline) -> VirtualClock:
    try:
        from lifecycle.testing._virtual_clock import VirtualClock  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        if error.name != "trio":
            raise
        message = "trio is not installed: pip install 'anyio-lifecycle[trio]'"
        raise ImportError(message) from error
    return VirtualClock(timeline)
