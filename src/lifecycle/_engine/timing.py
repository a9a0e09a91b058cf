"""The time that the hooks of one component have.

A hook has its own timeout, which it may extend, and a limit that is set by others. When either is
over it is cancelled; when it goes on after that, it is abandoned: nobody waits for it any more.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from lifecycle._core.budget import UNWIND, margin
from lifecycle.settings.durations import Seconds, as_float

if TYPE_CHECKING:
    from lifecycle._core.component import Node
    from lifecycle._engine.engine import Engine
    from lifecycle._engine.loop import Alarm
    from lifecycle.errors import Hook

_LEAST_PATIENCE = 0.05
"""How long what was cancelled has to end where all time is over, in seconds."""
_SECONDS = Seconds(zero=True)


class Timed:
    """A component whose hooks have deadlines; one hook runs at a time."""

    hook: Hook | None = None
    """The hook that runs now."""
    began = 0.0
    cancelled = False
    """Whether the start was cancelled, because the whole start was given up."""
    expired = False
    """Whether the time of the start, or of the stop, ran out."""
    cut = False
    """Whether the drain was cut off."""
    cancelled_after = 0.0
    """After how many seconds the running hook was cancelled."""
    given_up: frozenset[Hook] = frozenset()
    """The hooks that were abandoned: whatever they still say is of no interest."""
    _own_deadline = math.inf
    _limit = math.inf
    _patience_ends = math.inf
    _alarm: Alarm | None = None

    def __init__(self, engine: Engine, node: Node) -> None:
        """No hook runs yet."""
        self.engine = engine
        self.node = node
        self._scope = self._hook_scope = engine.loop.new_scope()

    def _start_expired(self) -> None:
        """The start has used up its time, and is being cancelled."""
        raise NotImplementedError

    def _start_is_given_up(self) -> None:
        """The start is about to be cancelled, for whatever reason."""
        raise NotImplementedError

    def _drain_expired(self) -> None:
        """The drain has used up its time; it is not cancelled yet."""
        raise NotImplementedError

    def _abandoned(self, hook: Hook) -> None:
        """A hook was left behind."""
        raise NotImplementedError

    @property
    def deadline(self) -> float:
        """When the running hook's time is over."""
        return min(self._own_deadline, self._limit)

    @property
    def time_left(self) -> float:
        """How many seconds the running hook has left."""
        if self.hook is None:
            return math.inf
        return max(0.0, self.deadline - self.engine.loop.now())

    @property
    def allowed(self) -> float:
        """How much time the running hook was given, in seconds."""
        return max(0.0, self.deadline - self.began)

    def begin(self, hook: Hook, now: float, own: float, limit: float) -> None:
        """A hook is called now: it has `own` seconds, but at most until `limit`."""
        self.hook = hook
        self.began = now
        self._own_deadline = now + own
        self._limit = limit
        self._patience_ends = math.inf
        self._set_alarm()

    def extend(self, seconds: float) -> None:
        """Give the running hook more of its own time; from any thread.

        Raises:
            ValueError: that is no number of seconds, 0 or more.

        """
        seconds = as_float(seconds)
        is_endless = type(seconds) is float and seconds == math.inf  # and not what equals all
        if not (is_endless or _SECONDS.allows(seconds)):
            message = f"seconds is {seconds!r}, but must be {_SECONDS.expected}"
            raise ValueError(message)
        if not self.engine.loop.on_its_thread():
            self.engine.keeper.post(functools.partial(self.extend, seconds))
            return
        if self.hook is not None and not self._is_being_cancelled:
            self._own_deadline += seconds
            self._set_alarm()

    def limit_to(self, deadline: float) -> None:
        """Take time away from the running hook."""
        if self.hook is not None and deadline < self._limit:
            self._limit = deadline
            if not self._is_being_cancelled:
                self._set_alarm()

    @property
    def _is_being_cancelled(self) -> bool:
        return self._patience_ends < math.inf

    def finish(self) -> float:
        """The running hook has ended; says how long it took."""
        duration = self.engine.loop.now() - self.began
        self.hook = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        return duration

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.engine.keeper.at(self.deadline, self._expire)

    def _expire(self) -> None:
        """The running hook has used up its time."""
        if self.hook == "stop":
            self.expired = True
            self._cancel(UNWIND)
        elif self.hook == "start":
            self.expired = True
            self._start_expired()
            self._start_is_given_up()
            self._cancel(self.engine.limits_of(self.node).stop)
        elif self.hook == "drain":
            self._drain_expired()

    def cancel_start(self) -> None:
        """The whole start is given up."""
        if self.hook == "start" and not self.expired:
            self.cancelled = True
            self._start_is_given_up()
            self._cancel(self.engine.limits_of(self.node).stop)

    def cut_drain(self) -> None:
        """The time to drain is over, and its holds have ended."""
        if self.hook == "drain" and not self.cut:
            self.cut = True
            self._cancel(UNWIND)

    def _cancel(self, patience: float) -> None:
        self._hook_scope.cancel()
        self.cancelled_after = min(self.engine.loop.now(), self.deadline) - self.began
        self._patience_ends = self.engine.loop.now() + patience
        self._await_end()

    def hurry(self) -> None:
        """There is less time than there was: what was cancelled is not waited for longer."""
        if self.hook is not None and self._is_being_cancelled:
            self._await_end()

    def _await_end(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        now, end = self.engine.loop.now(), self.engine.shutdown.patience_ends
        # All that follow it have as little, and together half of what is kept for such things.
        left = max(0.0, end + margin(self.engine.settings.grace_period) / 2 - now)
        share = left / (1 + self.engine.stops.following(self.node.index))
        last = max(end, now + min(_LEAST_PATIENCE, share))
        self._alarm = self.engine.keeper.at(min(self._patience_ends, last), self._abandon)

    def _abandon(self) -> None:
        """What was cancelled goes on: leave it behind, and hold nobody else up."""
        hook, self.hook = self.hook, None
        if hook is not None:
            self.given_up = self.given_up.union((hook,))
            # The next hook may be asked for at once, and then waits for this one.
            self._abandoned(hook)
