"""What accompanies a system from before the first start until after the last stop."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

from lifecycle import events
from lifecycle._core.budget import UNWIND
from lifecycle._engine import stacks
from lifecycle._engine.cancellation import is_cancellation
from lifecycle._engine.flag import Flag
from lifecycle.errors import ClosedError, CrashedError, StartError, StartTimeoutError, StopError
from lifecycle.naming import given_name_of
from lifecycle.report import Abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from lifecycle._engine.engine import Engine
    from lifecycle._engine.system import System
    from lifecycle.errors import Hook

Companion: TypeAlias = "Callable[[System], AbstractAsyncContextManager[Any, Any]]"
"""A callable that is given the system and returns an async context manager."""


class Companions:
    """All companions of one system."""

    def __init__(self, engine: Engine, companions: Sequence[Companion]) -> None:
        """None of them is started yet."""
        self._engine = engine
        self._all = [_One(engine, companion) for companion in companions]
        self._begun: list[_One] = []

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self._all)

    def start(self) -> None:
        """Enter all of them, at once."""
        limit = self._engine.settings.start_timeout
        for one in self._all:
            if self._engine.shutdown.reason is not None:  # an eager one may have asked
                break
            self._begun.append(one)
            one.begin(limit)

    async def failures(self) -> list[BaseException]:
        """Wait until all are entered, or are not going to be; returns what went wrong."""
        for one in self._begun:
            await one.entered.wait()
        return [one.failure for one in self._begun if one.failure is not None]

    def hurry(self) -> None:
        """It shuts down: those that are still being entered have no more time than to be left."""
        end = self._engine.shutdown.companions_end
        for one in self._begun:
            one.enter_by(end)

    def stop(self) -> None:
        """Leave all of them, at once, in the time that is kept for it."""
        end = self._engine.shutdown.companions_end
        for one in self._begun:
            one.stop_by(end)

    async def over(self) -> None:
        """Return when all have ended, or were abandoned; after `stop`."""
        for one in self._begun:
            await one.settled.wait()


class _One:
    """One companion, and its task."""

    def __init__(self, engine: Engine, companion: Companion) -> None:
        self._engine = engine
        self._companion = companion
        self.name = given_name_of(companion)
        self.entered = Flag()
        """It was entered, or failed to be."""
        self.settled = Flag()
        """It has ended, or was abandoned."""
        self.failure: BaseException | None = None
        self.alarm = engine.keeper.at(engine.loop.now(), lambda: None)
        self._is_in = False
        self._asked = Flag()
        self._scope = anyio.CancelScope()
        self._manager: Any = None
        self._began = 0.0
        self._cancelled_after = 0.0

    def begin(self, limit: float) -> None:
        """Enter it, within a limit."""
        engine = self._engine
        self._began = engine.loop.now()
        engine.tell(events.CompanionStarting, companion=self.name)
        self.alarm = engine.keeper.at(self._began + limit, self.expire)
        engine.turns.give(functools.partial(engine.tasks.spawn, self.run, self.name))

    async def run(self) -> None:
        engine = self._engine
        engine.turns.taken()
        error: BaseException | None = None
        task = engine.loop.current_task()
        engine.gates.before_all[task] = self.name
        try:
            with self._scope:
                self._manager = self._companion(engine.system)
                async with self._manager:
                    engine.gates.before_all.pop(task, None)
                    self._has_started(None)
                    await self._asked.wait()
                    self._began = engine.loop.now()
                    engine.tell(events.CompanionStopping, companion=self.name)
        except BaseException as raised:  # noqa: BLE001  it goes into the report
            error = raised
        engine.gates.before_all.pop(task, None)
        self.alarm.cancel()
        self._has_ended(error)

    def expire(self) -> None:
        """It was not entered in time."""
        limit = self._engine.settings.start_timeout
        self._has_started(StartTimeoutError(self.name, "it is still being entered", limit))
        self._cancel(self._engine.settings.stop_timeout)

    def enter_by(self, deadline: float) -> None:
        """Enter it no further than until then."""
        if not self.entered.is_set:
            self.alarm.cancel()
            self.alarm = self._engine.keeper.at(min(deadline, self.alarm.time), self._give_up)

    def _give_up(self) -> None:
        """It shuts down: that is no failure of its own."""
        reason = self._engine.shutdown.reason or ""
        self._has_started(ClosedError(self.name, reason), is_failure=False)
        self._cancel(UNWIND)

    def stop_by(self, deadline: float) -> None:
        """Leave it, until then."""
        self._asked.set()
        if not self.settled.is_set and not self._scope.cancel_called:
            self.alarm = self._engine.keeper.at(deadline, functools.partial(self._cancel, UNWIND))

    def _cancel(self, patience: float) -> None:
        self._scope.cancel()
        engine = self._engine
        self._cancelled_after = engine.loop.now() - self._began
        last = engine.shutdown.companions_end + UNWIND / 5
        until = min(engine.loop.now() + patience, last)
        self.alarm = engine.keeper.at(until, self._abandon)

    def _abandon(self) -> None:
        engine = self._engine
        hook: Hook = "stop" if self._is_in else "start"
        stack = stacks.of(getattr(self._manager, "gen", None))
        duration = engine.loop.now() - self._began
        error = StopError(self.name, hook, self._cancelled_after, abandoned=True)
        engine.account.abandoned.append(Abandoned(self.name, hook, stack))
        engine.account.note(error)
        engine.tell(events.HookAbandoned, component=self.name, hook=hook, stack=stack)
        if self._is_in:
            engine.tell(
                events.CompanionStopped, companion=self.name, duration=duration, error=error
            )
        self.settled.set()

    def _has_started(self, error: BaseException | None, *, is_failure: bool = True) -> None:
        if self.entered.is_set:
            return
        self.alarm.cancel()
        engine = self._engine
        duration = engine.loop.now() - self._began
        self.failure = error if is_failure else None
        self._is_in = error is None
        engine.tell(events.CompanionStarted, companion=self.name, duration=duration, error=error)
        self.entered.set()

    def _has_ended(self, error: BaseException | None) -> None:
        if self.settled.is_set:
            return  # it was abandoned, and that was told
        if self._is_in:
            self._has_stopped(error)
        elif self.entered.is_set:
            self._has_unwound(error)
        else:
            failure = StartError(self.name, "" if error else "it was cancelled")
            failure.__cause__ = error
            self._has_started(failure)
        self.settled.set()

    def _has_unwound(self, error: BaseException | None) -> None:
        """It was not entered in time, or was not to be any more."""
        if error is None or is_cancellation(error):
            return
        if self.failure is not None:
            self.failure.__cause__ = error
        else:
            unwinding = StopError(self.name, "start")
            unwinding.__cause__ = error
            self._engine.account.note(unwinding)

    def _has_stopped(self, error: BaseException | None) -> None:
        engine = self._engine
        if error is not None or not self._asked.is_set:
            crash = CrashedError(self.name, "" if error else "it ended by itself")
            crash.__cause__ = error
            engine.account.note(crash)
        duration = engine.loop.now() - self._began
        if error is None and self._scope.cancelled_caught:
            error = StopError(self.name, "stop", self._cancelled_after)  # told, and changes nothing
        engine.tell(events.CompanionStopped, companion=self.name, duration=duration, error=error)
