"""What accompanies a system from before the first start until after the last stop."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

from lifecycle import events
from lifecycle._core.budget import UNWIND
from lifecycle._engine import stacks
from lifecycle._engine.flag import Flag
from lifecycle.errors import CrashedError, StartError, StartTimeoutError, StopError
from lifecycle.report import Abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from lifecycle._engine.engine import Engine
    from lifecycle._engine.system import System

Companion: TypeAlias = "Callable[[System], AbstractAsyncContextManager[Any, Any]]"
"""A callable that is given the system and returns an async context manager."""


class Companions:
    """All companions of one system."""

    def __init__(self, engine: Engine, companions: Sequence[Companion]) -> None:
        """None of them is started yet."""
        self._engine = engine
        self._all = [_One(engine, companion) for companion in companions]

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self._all)

    async def start(self) -> list[BaseException]:
        """Enter all of them, at once; returns what went wrong."""
        limit = self._engine.settings.start_timeout
        for one in self._all:
            self._engine.spawn(one.run, one.name)
            one.alarm = self._engine.keeper.at(self._engine.loop.now() + limit, one.expire)
        for one in self._all:
            await one.entered.wait()
        return [one.failure for one in self._all if one.failure is not None]

    async def stop(self) -> None:
        """Leave all of them, at once, in the time that is kept for it."""
        end = self._engine.shutdown.companions_end
        for one in self._all:
            one.stop_by(end)
        for one in self._all:
            await one.settled.wait()

    async def over(self) -> None:
        """Return when the tasks of all have ended, abandoned ones too."""
        for one in self._all:
            await one.over.wait()


class _One:
    """One companion, and its task."""

    def __init__(self, engine: Engine, companion: Companion) -> None:
        self._engine = engine
        self._companion = companion
        self.name = _name_of(companion)
        self.entered = Flag()
        """It was entered, or failed to be."""
        self.settled = Flag()
        """It has ended, or was abandoned."""
        self.over = Flag()
        self.failure: BaseException | None = None
        self.alarm = engine.keeper.at(engine.loop.now(), lambda: None)
        self._is_in = False
        self._asked = Flag()
        self._scope = anyio.CancelScope()
        self._manager: Any = None
        self._began = 0.0

    async def run(self) -> None:
        engine = self._engine
        self._began = engine.loop.now()
        engine.tell(events.CompanionStarting, companion=self.name)
        error: BaseException | None = None
        try:
            with self._scope:
                self._manager = self._companion(engine.system)
                async with self._manager:
                    self._has_started(None)
                    await self._asked.wait()
                    self._began = engine.loop.now()
                    engine.tell(events.CompanionStopping, companion=self.name)
        except BaseException as raised:  # noqa: BLE001  it goes into the report
            error = raised
        self.alarm.cancel()
        self._has_ended(error)
        self.over.set()

    def expire(self) -> None:
        """It was not entered in time."""
        limit = self._engine.settings.start_timeout
        self._has_started(StartTimeoutError(self.name, "it is still being entered", limit))
        self._cancel(self._engine.settings.stop_timeout)

    def stop_by(self, deadline: float) -> None:
        """Leave it, until then."""
        self._asked.set()
        if not self.over.is_set and not self._scope.cancel_called:
            self.alarm = self._engine.keeper.at(deadline, functools.partial(self._cancel, UNWIND))

    def _cancel(self, patience: float) -> None:
        self._scope.cancel()
        engine = self._engine
        last = engine.shutdown.companions_end + UNWIND / 5
        until = min(engine.loop.now() + patience, last)
        self.alarm = engine.keeper.at(until, self._abandon)

    def _abandon(self) -> None:
        engine, hook = self._engine, "stop"
        stack = stacks.of(getattr(self._manager, "gen", None))
        duration = engine.loop.now() - self._began
        error = StopError(self.name, "stop", duration, abandoned=True)
        engine.account.abandoned.append(Abandoned(self.name, "stop", stack))
        engine.account.note(error)
        engine.tell(events.HookAbandoned, component=self.name, hook=hook, stack=stack)
        engine.tell(events.CompanionStopped, companion=self.name, duration=duration, error=error)
        self.settled.set()

    def _has_started(self, error: BaseException | None) -> None:
        if self.entered.is_set:
            return
        self.alarm.cancel()
        engine = self._engine
        duration = engine.loop.now() - self._began
        self.failure = error
        self._is_in = error is None
        engine.tell(events.CompanionStarted, companion=self.name, duration=duration, error=error)
        self.entered.set()

    def _has_ended(self, error: BaseException | None) -> None:
        engine = self._engine
        if self.settled.is_set:
            return  # it was abandoned, and that was told
        if not self._is_in:
            failure = StartError(self.name, "" if error else "it was cancelled")
            failure.__cause__ = error
            self._has_started(failure)
        else:
            if error is not None or not self._asked.is_set:
                crash = CrashedError(self.name, "" if error else "it ended by itself")
                crash.__cause__ = error
                engine.account.note(crash)
            duration = engine.loop.now() - self._began
            engine.tell(
                events.CompanionStopped, companion=self.name, duration=duration, error=error
            )
        self.settled.set()


def _name_of(companion: object) -> str:
    given = getattr(companion, "name", None)
    if isinstance(given, str):
        return given
    if isinstance(companion, functools.partial):
        companion = companion.func
    return getattr(companion, "__name__", type(companion).__name__)
