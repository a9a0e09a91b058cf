"""What to say to systemd, and when.

Pure: told how the system stands and what time it is, it gives the messages to be sent.

The unit's timeouts are extended only while `lifecycle` itself would still wait, and in pieces of a
few seconds: a loop that is blocked says nothing, and systemd ends what it would have ended. With
the time that a hook, or the grace period, has left, a piece gets shorter, so that a hang ends as
early as it would without all this. `lifecycle` is the first to end it, since it knows what it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from lifecycle.integrations.systemd import _words
from lifecycle.integrations.systemd._message import Message
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from lifecycle import Settings
    from lifecycle.report import Status

PACE: Final = 1.0
"""How often the text changes at most, and is looked at while it counts seconds; in seconds."""

EXTENSION: Final = 10.0
"""By how much a timeout is extended at a time, in seconds; it is said anew after half of that.

Long enough for a machine that is slow, and short beside the 90 s that systemd grants."""

HEAD_START: Final = 1.0
"""How much later than `lifecycle` systemd ends what hangs, in seconds."""


class Narrator:
    """What has been said of one run of a system, and what there is to say now."""

    def __init__(self, settings: Settings, checks_end: float = -math.inf) -> None:
        """Nothing was said yet.

        Args:
            settings: those of the run.
            checks_end: until when preflight checks may run, as far as they say so.

        """
        self.look_again: float = math.inf
        """In how many seconds there may be something to say, although nothing has changed."""
        self._settings = settings
        self._checks_end = checks_end
        self._is_ready = False
        self._is_stopping = False
        self._phase: Phase | None = None
        self._text: str | None = None
        self._text_at = -math.inf
        self._extend_at = -math.inf
        """When the extension is to be said anew."""

    def tell(self, status: Status, now: float) -> list[Message]:
        """Give what is to be said now."""
        text = _words.describe(status, self._settings)
        messages = self._milestones(status)
        extension = self._extension(status, now, at_once=bool(messages))
        has_moved, self._phase = status.phase is not self._phase, status.phase
        # What is sent anyway takes the text along.
        is_due = messages or extension or has_moved or now >= self._text_at + PACE
        later = Message(
            status=text if is_due and text != self._text else None, extend_timeout=extension
        )
        if later.status is not None:
            self._text, self._text_at = later.status, now
        self.look_again = self._next_look(status, now, text)
        return _joined(messages, later)

    def conclude(self, status: Status, now: float) -> list[Message]:
        """Give the last that is to be said, when everything has ended."""
        later = Message(
            status=_words.describe_end(status),
            extend_timeout=self._extension(status, now, at_once=True),
        )
        return _joined(self._milestones(status), later)

    def time_allowed(self, status: Status, now: float) -> float:
        """For how long what goes on may go on, by the limits of `lifecycle`, in seconds.

        0: nothing is on its way; infinite: it runs, and is not limited.
        """
        if status.reason is not None:
            return status.time_left or 0.0
        if status.phase is Phase.PREFLIGHT:
            return max(0.0, self._checks_end - now)
        if status.phase is Phase.STARTING:
            starting = (one for one in status.components.values() if one.state is State.STARTING)
            return max((one.time_left or 0.0 for one in starting), default=0.0)
        return math.inf

    def _milestones(self, status: Status) -> list[Message]:
        messages: list[Message] = []
        if status.started and not self._is_ready:
            self._is_ready = True
            messages.append(Message(ready=True))
        if status.reason is not None and not self._is_stopping:
            self._is_stopping = True
            messages.append(Message(stopping=True))
        return messages

    def _extension(self, status: Status, now: float, *, at_once: bool) -> float | None:
        allowed = self.time_allowed(status, now)
        # While it runs it would move another timeout: the unit's RuntimeMaxSec.
        if not 0 < allowed < math.inf or not (at_once or now >= self._extend_at):
            return None
        extension = min(EXTENSION, allowed + HEAD_START)
        self._extend_at = now + extension / 2
        return extension

    def _next_look(self, status: Status, now: float, text: str) -> float:
        if status.phase is Phase.RUNNING and status.reason is None:
            return math.inf if text == self._text else self._text_at + PACE - now
        return min(PACE, self._extend_at - now) if self._extend_at > now else PACE


def _joined(messages: list[Message], later: Message) -> list[Message]:
    if not later:
        return messages
    return [*messages[:-1], messages[-1].then(later)] if messages else [later]
