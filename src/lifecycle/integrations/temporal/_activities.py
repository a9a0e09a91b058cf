"""Running activities, as work in flight of the worker."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, NoReturn

import temporalio.activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, Interceptor

from lifecycle.errors import ClosedError, WorkCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from temporalio.worker import ActivityOutboundInterceptor, ExecuteActivityInput

    from lifecycle import Lifetime

_LONGEST: Final = 200
_KIND: Final = "WorkerShutdown"
"""What Temporal's own worker calls it: an attempt that another worker may repeat."""


class Activities(Interceptor):
    """All activities of one run of a worker."""

    def __init__(self, owner: Lifetime[Any] | None) -> None:
        """Count none yet; they are work of `owner`, if there is one."""
        self._owner = owner
        self._running: set[Activity] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  Temporal's
        """Count an activity that comes in."""
        return _Counting(next, self)

    def take(self, heartbeat: Callable[..., None]) -> None:
        """Count the activity of the current task, until its result was delivered.

        Raises:
            ApplicationError: the time is over in which work is taken.

        """
        info, task = temporalio.activity.info(), asyncio.current_task()
        assert task is not None  # noqa: S101  Temporal has one for each
        what = f"{info.activity_type} of {info.workflow_id or info.activity_id}"[:_LONGEST]
        one = Activity(what, heartbeat)
        if self._owner is not None:
            try:
                one.held.enter_context(self._owner.hold(what, on_cut=one.cut))
            except ClosedError as error:
                message = f"the worker shuts down, and takes no more: {error}"
                raise ApplicationError(message, type=_KIND) from None
        self._running.add(one)
        # When this task ends the result was delivered. When the activity returns it was not.
        task.add_done_callback(lambda _: self._end(one))

    def cut(self) -> list[str]:
        """Cut off those that still run; returns what they are."""
        for one in self._running:
            one.cut()
        return [one.what for one in self._running]

    def _end(self, one: Activity) -> None:
        self._running.discard(one)
        with contextlib.suppress(WorkCancelledError):
            one.held.close()


class Activity:
    """One activity: one attempt at it."""

    def __init__(self, what: str, heartbeat: Callable[..., None]) -> None:
        """Begin."""
        self.what = what
        self.held = contextlib.ExitStack()
        self._heartbeat = heartbeat

    def cut(self) -> None:
        """Its time is over: let Temporal cancel it, by its own rules, and report it as failed.

        That is what it does when a heartbeat cannot be sent: a task is cancelled, a thread has
        ``CancelledError`` raised in it unless it is shielded, ``activity.is_cancelled()`` holds,
        and what made the heartbeat fail is what the activity failed with. By itself Temporal
        cancels what is left a fixed time after the shutdown began, which has to be said when the
        worker is made, and nobody knows by then how much time there will be.
        """
        message = "the activity was cut off: the worker shuts down, and its time to drain is over"
        self._heartbeat(_Unsendable(ApplicationError(message, type=_KIND)))


class _Counting(ActivityInboundInterceptor):
    def __init__(self, next_one: ActivityInboundInterceptor, activities: Activities) -> None:
        super().__init__(next_one)
        self._activities = activities
        self._heartbeat: Callable[..., None] = lambda *_: None

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._heartbeat = outbound.heartbeat
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  Temporal's
        self._activities.take(self._heartbeat)
        return await super().execute_activity(input)


class _Unsendable:
    """Raises an error when anybody looks at it."""

    def __init__(self, error: Exception) -> None:
        object.__setattr__(self, "error", error)

    def __getattribute__(self, name: str) -> NoReturn:
        raise object.__getattribute__(self, "error")
