"""Running the preflight checks: all at once, and every failure is told."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle import events
from lifecycle._core.budget import UNWIND
from lifecycle._engine import calling, stacks
from lifecycle._engine.cancellation import code_of, is_cancellation
from lifecycle._engine.flag import Flag
from lifecycle._engine.threads import Thread
from lifecycle.errors import PreflightError, one_line
from lifecycle.naming import given_name_of
from lifecycle.settings.durations import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._engine.engine import Engine
    from lifecycle._engine.loop import Alarm


_SECONDS = Seconds(zero=True)


class Preflight:
    """The checks of one run: all at once, before the first component."""

    def __init__(self, engine: Engine, checks: Sequence[Any]) -> None:
        """None runs yet."""
        self._all = [_Run(engine, check) for check in checks]

    def begin(self) -> None:
        """Let all of them run."""
        for one in self._all:
            one.begin()

    async def failures(self) -> list[BaseException]:
        """Wait for all; returns the failures, in the order of registration."""
        for one in self._all:
            await one.over.wait()
        return [one.failure for one in self._all if one.failure is not None]

    def end(self, within: float) -> None:
        """Cut off those that still run: that is no failure.

        Args:
            within: how many seconds there are for it; asked again, there may be fewer.

        """
        for one in self._all:
            one.end(within)


class _Run:
    """One check, in a task of its own."""

    def __init__(self, engine: Engine, check: Any) -> None:
        self._engine = engine
        self._check = check
        self._name = given_name_of(check)
        self._unwinds_in = _unwinds_in(check)
        self._scope = anyio.CancelScope()
        self._runs = False
        self._began = 0.0
        self._alarm: Alarm | None = None
        self._cancelled_after = 0.0
        self._patience_ends = 0.0
        self._awaiting: Any = None
        self.failure: BaseException | None = None
        self.over = Flag()
        """It has ended, or was abandoned."""

    def begin(self) -> None:
        """Let it run."""
        self._runs = True
        spawn = self._engine.tasks.spawn
        self._engine.turns.give(functools.partial(spawn, self._run, f"check {self._name}"))

    def end(self, within: float) -> None:
        """Cancel it; should it go on all the same, it is left behind."""
        if not self._runs or self.over.is_set:
            return
        now = self._engine.loop.now()
        if self._alarm is None:
            self._scope.cancel()
            self._cancelled_after = now - self._began
            self._patience_ends = now + self._unwinds_in
        else:
            self._alarm.cancel()
        until = min(self._patience_ends, now + within)
        self._alarm = self._engine.keeper.at(until, self._abandon)

    async def _run(self) -> None:
        self._engine.turns.taken()
        if not self._scope.cancel_called:  # else it was cut off before it ran, and is not called
            failure = await self._ask()
            if self.over.is_set:
                return  # it was abandoned, and that was told
            if not self._scope.cancel_called:
                self.failure = failure
            duration = self._engine.loop.now() - self._began
            self._engine.tell(events.CheckEnded, check=self._name, duration=duration, error=failure)
        if self._alarm is not None:
            self._alarm.cancel()
        self._runs = False
        self.over.set()

    async def _ask(self) -> PreflightError | None:
        engine = self._engine
        self._began = engine.loop.now()
        engine.tell(events.CheckStarting, check=self._name)
        task = engine.loop.current_task()
        engine.gates.before_all[task] = self._name
        try:
            with self._scope:
                self._awaiting = _failure_of(engine, self._name, self._check)
                return await self._awaiting  # type: ignore[no-any-return]
        except KeyboardInterrupt as interrupt:
            engine.shutdown.interrupted(interrupt, f"the check {self._name!r}")
        except anyio.get_cancelled_exc_class():
            pass  # natively, as it was cut off
        finally:
            engine.gates.before_all.pop(task, None)
        return None

    def _abandon(self) -> None:
        stack = stacks.of(self._awaiting)
        self._engine.stops.left_behind(self._name, "check", stack, self._cancelled_after)
        self.over.set()


def _unwinds_in(check: Any) -> float:
    """How long a check takes to end; where it does not say, or nonsense, as long as any hook."""
    try:
        given = check.unwinds_in
    except Exception:  # noqa: BLE001  an attribute of the user's, whatever it raises
        return UNWIND
    return float(given) if _SECONDS.allows(given) else UNWIND


async def _failure_of(engine: Engine, name: str, check: Any) -> PreflightError | None:
    thread = Thread(f"check {name}", engine.loop, engine.instruments)
    try:
        answer = await calling.call(functools.partial(thread.call, abandon=True), check)
    except PreflightError as error:
        return error
    except SystemExit as error:
        reason = f"it raised SystemExit({error.code!r})"
        failure = PreflightError(name, reason, code_of(error) or None)
        failure.__cause__ = error
        return failure
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises, it did not pass
        if is_cancellation(error) and anyio.current_effective_deadline() == -math.inf:
            raise  # it is ours
        failure = PreflightError(name, one_line(error))
        failure.__cause__ = error
        return failure
    finally:
        thread.end()
    return PreflightError(name, "it returned False") if answer is False else None
