"""Asking for a shutdown, and the time that it has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lifecycle import events
from lifecycle._core.budget import FORCED_STOP, LAST_SECOND, LEAST, UNWIND, Budget, margin
from lifecycle._engine.cancellation import code_of
from lifecycle.errors import leaf
from lifecycle.states import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._engine.engine import Engine


class Shutdown:
    """Who asked first, when, and what deadlines follow from that."""

    def __init__(self, engine: Engine) -> None:
        """Nobody has asked."""
        self._engine = engine
        self.reason: str | None = None
        """Why it shuts down; set by the first request or failure."""
        self.trigger = Trigger.REQUEST
        """What kind of reason that is."""
        self.error: str | None = None
        """The type of what failed, where that is why; the reason then has its message."""
        self.asked_at: float | None = None
        """When the grace period began, on the loop's clock."""
        self.was_interrupted_first = False
        """Whether there was a KeyboardInterrupt, and no error before it."""
        self.forced_by: int | None = None
        """The number of the signal that forces the end, from its handler on."""
        self.on_time_left: Callable[[float], object] | None = None
        """Told in how many seconds the process is to have ended, at once when anybody asks for
        that: in a signal handler, or in any thread. It may be told again; the earlier end counts.
        """
        self.on_shutdown: Callable[[], object] | None = None
        """Told that it shuts down, on the loop's thread."""
        self._budget: Budget | None = None
        self._granted: Budget | None = None
        self._bound = math.inf
        self._forced_at = 0.0
        self._told = False

    def note_request(
        self, reason: str, trigger: Trigger = Trigger.REQUEST, *, at: float | None = None
    ) -> None:
        """Someone asks for a shutdown: readiness is off from here on, and the clock runs.

        May be called from any thread, and from a signal handler.
        """
        if self.reason is None:
            self.asked_at = self._engine.loop.now() if at is None else at
            self.trigger = trigger
            self.reason = reason
            self._limit_to(self.time_left() or 0.0)

    def note_force(self, signal_number: int) -> None:
        """Someone forces the end: from here on there is less time. In signal handlers, too.

        An interrupt that was kept for the system counts from when that learns of it.
        """
        self._forced_at = self._engine.loop.now()
        self.forced_by = signal_number
        self._limit_to(FORCED_STOP + UNWIND + margin(self._engine.settings.grace_period))

    def _limit_to(self, left: float) -> None:
        if self.on_time_left is not None:
            self.on_time_left(left)

    def request(
        self,
        reason: str,
        trigger: Trigger = Trigger.REQUEST,
        *,
        delay: bool,
        exit_code: int = 0,
        at: float | None = None,
    ) -> None:
        """Someone asks for a shutdown: carry it out. On the loop's thread."""
        if self._engine.is_over:
            return
        self.note_request(reason, trigger, at=at)
        self.ask_for_code(exit_code)
        self._engine.preflight.end(self._planned_time_left())
        self._note_shutdown()
        self._engine.apply(
            self._engine.machine.shut_down, delay=delay and self._engine.settings.drain_delay > 0
        )
        self._engine.companions.hurry()

    def ask_for_code(self, exit_code: int) -> None:
        """Someone asks for an exit code; the first that is not 0 counts. From any thread."""
        if exit_code and not (self._engine.is_over or self._engine.account.verdict.asked_code):
            self._engine.account.verdict.asked_code = int(exit_code)  # a main may return a bool

    def failed(self, error: BaseException) -> None:
        """Something failed that ends the system."""
        self.note_failure(str(error), error.__cause__ or error)
        self._note_shutdown()

    def note_failure(self, reason: str, error: BaseException) -> None:
        """Shut down because of an error, whose message the reason may have."""
        if self.reason is None:
            # First, since nobody may see the one without the other.
            self.error = type(leaf(error)).__name__
        self.note_request(reason, Trigger.FAILURE)

    def force(self) -> None:
        """End at once, as was noted: no drains, and stops under a short deadline."""
        if self._engine.is_over or self.is_forced:
            return
        self._engine.account.verdict.forced_by = self.forced_by
        self.note_request("a second interrupt", Trigger.SIGNAL)
        self._engine.preflight.end(min(FORCED_STOP, self._planned_time_left()))
        self._note_shutdown()
        self.share_out()
        end = min(self.patience_ends, self._forced_at + FORCED_STOP)
        self._set_budget(Budget(end=end, stops_end=end, drains_end=self._engine.loop.now()))
        self._engine.apply(self._engine.machine.force)
        self._engine.stops.limit_to(end)
        self._engine.stops.force()
        self._engine.companions.hurry()

    @property
    def is_forced(self) -> bool:
        """Whether the end at once is being carried out."""
        return self._engine.account.verdict.forced_by is not None

    def interrupted(self, error: BaseException, who: str, *, delay: bool = True) -> None:
        """A SystemExit or KeyboardInterrupt was raised: it asks for a shutdown."""
        if isinstance(error, SystemExit):
            reason = f"{who} raised SystemExit({error.code!r})"
            if not isinstance(error.code, int | None):
                self.note_failure(reason, error)  # such a code is a message
            self.request(reason, delay=delay, exit_code=code_of(error))
        else:
            self._engine.account.verdict.interrupted = True
            if not self._engine.account.errors:
                self.was_interrupted_first = True
            self.request(f"KeyboardInterrupt in {who}", Trigger.SIGNAL, delay=False)

    def _note_shutdown(self) -> None:
        if not self._told and self.reason is not None:
            self._told = True
            self._engine.health.end()
            self._engine.tell(events.ShutdownRequested, reason=self.reason, trigger=self.trigger)
            if self.on_shutdown is not None:
                self.on_shutdown()

    @property
    def budget(self) -> Budget | None:
        """The deadlines, once the drain has begun."""
        return self._budget

    def share_out(self) -> None:
        """Fix the deadlines, unless that was done before."""
        if self._budget is not None:
            return
        now = self._engine.loop.now()
        shared = self._granted or Budget.of(
            asked_at=now if self.asked_at is None else self.asked_at,
            grace_period=self._engine.settings.grace_period,
            close_reserve=self._engine.settings.effective_close_reserve,
            companions=self._engine.companions.any,
        )
        self._set_budget(shared.ending_by(self._bound, now))

    def grant(self, budget: Budget) -> None:
        """Somebody else knows how much time there is, from before the drain begins."""
        self._granted = budget

    def bound(self, deadline: float) -> None:
        """Be over by a deadline, also where the drain has begun."""
        self._bound = min(self._bound, deadline)
        if self._budget is None or self._bound >= self._budget.end:
            return
        self._set_budget(self._budget.ending_by(self._bound, self._engine.loop.now()))
        self._engine.drains.hurry()
        self._engine.stops.limit_to(self._budget.stops_end)

    def _set_budget(self, new: Budget) -> None:
        self._budget = new
        for host in self._engine.hosts:
            if host is not None:
                host.hurry()

    @property
    def patience_ends(self) -> float:
        """When even what was cancelled is waited for no longer."""
        return math.inf if self._budget is None else self._budget.end

    @property
    def companions_end(self) -> float:
        """When the companions are to have ended."""
        now = self._engine.loop.now()
        reserve = self._engine.settings.effective_close_reserve
        own = now + min(LAST_SECOND, reserve / 2)
        return own if self._budget is None else min(own, max(self._budget.end, now + LEAST))

    def _planned_time_left(self) -> float:
        """What is left of it until everything is planned to have ended."""
        return max(0.0, (self.time_left() or 0.0) - margin(self._engine.settings.grace_period))

    def time_left(self) -> float | None:
        """What is left of the grace period."""
        if self.asked_at is None:
            return None
        grace_period = self._engine.settings.grace_period
        left = self.asked_at + grace_period - self._engine.loop.now()
        return max(0.0, min(left, grace_period))  # sums round: it may be more by the last digit
