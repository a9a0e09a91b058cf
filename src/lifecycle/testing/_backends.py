"""What makes event loops that run in virtual time."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Literal

from lifecycle.testing._interleaving import Interleaving
from lifecycle.testing._timeline import Timeline
from lifecycle.testing._virtual_loop import VirtualLoop

if TYPE_CHECKING:
    from typing import TypeAlias

    from lifecycle.testing._virtual_clock import VirtualClock

    Backend: TypeAlias = Literal["asyncio", "trio"]


class VirtualLoops:
    """Makes asyncio's event loops: each begins at 0."""

    def __init__(self, seed: int | None, patience: float, *, eager_tasks: bool) -> None:
        """Choose what they are like."""
        self._seed = seed
        self._patience = patience
        self._eager_tasks = eager_tasks

    def __call__(self) -> VirtualLoop:
        """Make one."""
        loop = VirtualLoop(Timeline(self._patience), Interleaving(self._seed))
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
    if name == "trio":
        return name, {"clock": _virtual_clock(Timeline(patience))}
    return name, {"loop_factory": VirtualLoops(seed, patience, eager_tasks=eager_tasks)}


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
