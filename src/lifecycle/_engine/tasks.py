"""The tasks of one run: each in a context of its own, and what escapes one ends the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskGroup

    _Run: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Tasks:
    """All of them: those of components, checks and companions, and the keeper's."""

    going_on = 0
    """How many run."""
    _group: TaskGroup | None = None

    def __init__(
        self, context: contextvars.Context, on_fault: Callable[[BaseException], object]
    ) -> None:
        """There are none yet.

        Args:
            context: what they run in copies of, where nothing else is said.
            on_fault: is told what escapes one.

        """
        self._context = context
        self._on_fault = on_fault
        # Those that were started, and have not run yet: how they are started again.
        self._yet_to_run: dict[_Run, tuple[str, contextvars.Context | None]] = {}

    def begin(self, group: TaskGroup) -> None:
        """Let them be tasks of this group."""
        self._group = group

    @property
    def have_begun(self) -> bool:
        """Whether there can be any."""
        return self._group is not None

    def spawn(self, run: _Run, name: str, context: contextvars.Context | None = None) -> None:
        """Start a task, in a copy of a context."""
        assert self._group is not None  # noqa: S101  it has begun
        self._yet_to_run[run] = name, context
        own = (self._context if context is None else context).copy()
        own.run(self._group.start_soon, self._guarded, run, name=f"lifecycle: {name}")  # type: ignore[arg-type, unused-awaitable]

    def begin_again(self) -> None:
        """Start those again that have not run yet: cancelled before they run, they never will."""
        for run, (name, context) in list(self._yet_to_run.items()):
            self.spawn(run, name, context)

    async def _guarded(self, run: _Run) -> None:
        """Run a task that is to see to whatever users raise: what escapes it is a fault of ours."""
        if self._yet_to_run.pop(run, None) is None:
            return  # it was begun again, and runs
        self.going_on += 1
        try:
            await run()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as fault:  # noqa: BLE001  the run ends with it
            self._on_fault(fault)
        finally:
            self.going_on -= 1
