"""Running a system inside the caller's own event loop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio

from lifecycle._engine.body import Body
from lifecycle._engine.cancellation import is_cancellation
from lifecycle._engine.engine import Engine
from lifecycle._engine.lifetime import current
from lifecycle._engine.threads import outlast
from lifecycle.errors import ClosedError, add_note, leaf, one_line
from lifecycle.states import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from anyio.abc import TaskGroup

    from lifecycle._core.plan import Plan
    from lifecycle._engine.companions import Companion
    from lifecycle._engine.system import System
    from lifecycle.events import Observer
    from lifecycle.settings import Settings


class Running:
    """A system for the time of an ``async with``.

    The system lives in tasks of its own, shielded from whatever happens to the caller: a
    cancellation from outside is a request to shut down, and goes on once everything has ended.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        companions: Sequence[Companion],
        observers: Sequence[Observer],
        prepare: Callable[[Engine], object] | None = None,
    ) -> None:
        """Nothing runs before it is entered."""
        self._plan = plan
        self._settings = settings
        self._companions = companions
        self._observers = observers
        self._prepare = prepare
        self._engine: Engine | None = None
        self._group: TaskGroup | None = None
        self._body: Body | None = None

    body_is_kept = False
    """Whether the body does nothing but wait, for somebody who sees to it that it ends."""

    async def __aenter__(self) -> System:
        """Start everything; returns when all that is not optional is ready."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self._engine is not None:
            message = "`running(…)` was entered before; each one runs a system once"
            raise RuntimeError(message)
        engine = self._engine = Engine(
            self._plan, self._settings, self._companions, self._observers
        )
        if self._prepare is not None:
            self._prepare(engine)
        self._body = Body(engine, is_kept=self.body_is_kept)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(engine.run, name="lifecycle: system")
        try:
            await engine.started.wait()
        except BaseException as error:
            self._body.give_up()
            await self._end(error)
            raise
        if self._body.is_in_flight:
            self._body.enter()
            return engine.system
        await self._end(None)
        closed = ClosedError(None, engine.shutdown.reason or "")
        closed.report = engine.report
        raise closed

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Shut down, if that has not happened, and wait until everything has ended.

        Raises:
            RuntimeError: it was not entered.

        """
        if self._body is None:
            message = "`running(…)` was not entered, and cannot be left"
            raise RuntimeError(message)
        left = self._body.leave(kind, error, traceback)
        await self._end(left, by_itself=not self._body.was_cancelled)
        if left is not None and left is not error:
            before = left.__context__
            try:
                raise left
            finally:
                left.__context__ = before  # and not the group that it is a part of
        return left is None

    async def _end(self, error: BaseException | None, *, by_itself: bool = False) -> None:
        """Wait for the end of everything, and raise the one error that there is to raise."""
        engine, group = self._engine, self._group
        assert engine is not None  # noqa: S101  it was entered
        assert group is not None  # noqa: S101  likewise
        if not engine.is_running:
            # asyncio's teardown cancels every task: what has not run by then never will.
            group.start_soon(engine.run, name="lifecycle: system")
        failed_before = engine.shutdown.reason is not None and bool(engine.account.errors)
        self._ask(engine, error, by_itself=by_itself)
        cancellation: BaseException | None = None
        try:
            await self._outlast(engine)
        except anyio.get_cancelled_exc_class() as native:
            cancellation = native
        try:
            # Left without an error: ours is raised bare, not in a group.
            await group.__aexit__(None, None, None)
            if error is None or is_cancellation(error):
                # What was cancelled while we were shielded from it goes on now.
                await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class() as outer:
            cancellation = outer
        except BaseException as fault:
            # A fault of ours, or a task that was wrecked from within: what is in the report is
            # nearer to the cause.
            if engine.report is None or not engine.report.errors:
                raise
            add_note(engine.report.errors[0], f"also: {one_line(leaf(fault))}")
        self._raise(engine, error, cancellation, failed_before=failed_before)

    async def _outlast(self, engine: Engine) -> None:
        """Wait until no task is left, whatever is cancelled, or interrupted, meanwhile."""
        with engine.loop.new_scope(shield=True):
            while not engine.ended.is_set():
                try:
                    await outlast(engine.ended)
                except KeyboardInterrupt as interrupt:  # noqa: PERF203  trio's, shielded or not
                    engine.interrupted_at_the_end(interrupt)

    def _ask(self, engine: Engine, error: BaseException | None, *, by_itself: bool) -> None:
        if error is not None and is_cancellation(error):
            reason = "it was cancelled from outside"
            engine.shutdown.request(reason, Trigger.CANCELLATION, delay=False)
            return
        self._bound(engine, by_itself=by_itself)
        if error is None:
            engine.shutdown.request("the body has ended", Trigger.END, delay=False)
        elif isinstance(error, (SystemExit, KeyboardInterrupt)):
            engine.shutdown.interrupted(error, "the body", delay=False)
        else:
            reason = f"the body raised {one_line(error)}"
            engine.shutdown.note_failure(reason, error)
            engine.shutdown.request(reason, delay=False)

    def _bound(self, engine: Engine, *, by_itself: bool) -> None:
        """The body has ended: how much time there is may be decided around it.

        Not where the roll-back of a start, or a crash, has its own.
        """
        now, lifetime = engine.loop.now(), current.get()
        deadline = anyio.current_effective_deadline()
        if deadline > now and (by_itself or engine.shutdown.budget is None):
            # One that has passed is a cancellation, and bounds nothing.
            engine.shutdown.bound(deadline)
        if lifetime is not None and lifetime.time_left > 0:
            # It ran within a hook of a component, which is not to outlast its time.
            engine.shutdown.bound(now + lifetime.time_left)

    def _raise(
        self,
        engine: Engine,
        error: BaseException | None,
        cancellation: BaseException | None,
        *,
        failed_before: bool,
    ) -> None:
        errors = engine.report.errors if engine.report is not None else ()
        if error is not None and not is_cancellation(error) and not failed_before:
            # The body's own exception leaves as it is; the caller raises it.
            for other in errors:
                add_note(error, f"also: {one_line(other)}")
            return
        is_cancelled = cancellation is not None or (error is not None and is_cancellation(error))
        if engine.shutdown.was_interrupted_first and not isinstance(error, KeyboardInterrupt):
            interrupt = KeyboardInterrupt()
            for other in errors:
                add_note(interrupt, f"also: {one_line(other)}")
            raise interrupt
        if errors and not (is_cancelled and engine.cancelled is not None):
            # (In asyncio's teardown everything is cancelled: that goes on, and its log has them.)
            if error is not None and not is_cancellation(error):
                add_note(errors[0], f"also, in the body: {one_line(error)}")
            with contextlib.suppress(AttributeError):
                errors[0].__suppress_context__ = errors[0].__cause__ is not None
            raise errors[0]
        if error is None and cancellation is not None:
            raise cancellation
