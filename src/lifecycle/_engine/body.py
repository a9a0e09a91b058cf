"""The body of ``async with running(…)``: the user's own work, in the user's own task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.report import Work

if TYPE_CHECKING:
    from types import TracebackType

    from lifecycle._engine.engine import Engine

WHAT = "the body of running"


class Body:
    """Counts as in flight until it ends, or waits for the end."""

    def __init__(self, engine: Engine, *, is_kept: bool = False) -> None:
        """It is to begin once the start is over, in the task of the caller.

        Args:
            engine: whose body it is.
            is_kept: whether it does nothing but wait, and its end is seen to: it is not cut off.

        """
        self._engine = engine
        self.is_kept = is_kept
        self._task = engine.loop.current_task()
        self._scope = engine.loop.new_scope()
        self._began = 0.0
        self.is_in_flight = False
        self.waits_for_the_end = False
        self.was_cut = False
        engine.body = self

    @property
    def was_cancelled(self) -> bool:
        """Whether it was told to end, by a crash or at the end of the time to drain."""
        return self._scope.cancel_called

    def begin(self) -> None:
        """The start is over: it counts from this instant, though its task is yet to run."""
        self._began = self._engine.loop.now()
        self.is_in_flight = True
        self._engine.apply(self._engine.machine.body_began)

    def enter(self) -> None:
        """Its task runs now."""
        self._scope.__enter__()

    def give_up(self) -> None:
        """It has ended, or will not be entered."""
        self.is_in_flight = False
        self._engine.apply(self._engine.machine.body_ended)

    def is_in_this_task(self) -> bool:
        """Whether the caller is the body itself, and not one of its tasks."""
        return self._engine.loop.current_task() is self._task

    def leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> BaseException | None:
        """It has ended; returns what it raised, without our own cancellation."""
        left = error
        try:
            if self._scope.__exit__(kind, error, traceback):
                left = None
        except BaseException as rest:  # noqa: BLE001  trio raises what is left of a group
            left = rest
        self.give_up()
        return left

    def settle(self) -> None:
        """It is in flight no longer."""
        if self.is_in_flight:
            self.is_in_flight = False
            self._engine.apply(self._engine.machine.body_waits)

    def wait_for_the_end(self) -> None:
        """It does nothing but wait for the end from here on."""
        self.waits_for_the_end = True
        self.settle()

    def go_on(self) -> None:
        """It waits no longer, and the system still runs: it is in flight again."""
        self.waits_for_the_end = False
        if not self.is_in_flight and self._engine.machine.accepts_work:
            self.is_in_flight = True
            self._engine.apply(self._engine.machine.body_goes_on)

    def cancel(self) -> None:
        """A component crashed: end, as in a task group."""
        self._scope.cancel()

    def cut(self, now: float) -> Work:
        """The time to drain is over."""
        self.was_cut = True
        self._scope.cancel()
        return Work(WHAT, None, now - self._began)

    def write_off(self) -> None:
        """It was cut off and has not ended: wait for it no longer."""
        if self.was_cut:
            self.settle()
