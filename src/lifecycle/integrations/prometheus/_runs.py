"""One run of a system, as it is shown: live while it lasts, and afterwards as it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from lifecycle import events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle import System
    from lifecycle.report import Status

_HOOKS: Final[dict[type[events.Event], str]] = {
    events.ComponentStarted: "start",
    events.ComponentDrained: "drain",
    events.ComponentStopped: "stop",
}


@attrs.frozen
class View:
    """What is known of a run at one moment."""

    label: str
    """What the system is called: its name, with a number where that is taken."""
    status: Status
    grace_period: float
    """In seconds; so are the times."""
    times: Mapping[tuple[str, str], float]
    """How long hooks took, by component and hook."""


class Run:
    """One run of a system."""

    def __init__(self, label: str, system: System) -> None:
        """It has just begun."""
        self._label = label
        self._system: System | None = system
        self._last: Status | None = None
        self._grace_period = system.settings.grace_period
        self._times: dict[tuple[str, str], float] = {}

    @property
    def is_over(self) -> bool:
        """Whether its label is free for another one."""
        return self._last is not None

    def observe(self, event: events.Event) -> None:
        """Take note of an event. On the thread of the system's loop."""
        if isinstance(
            event, (events.ComponentStarted, events.ComponentDrained, events.ComponentStopped)
        ):
            self._times[event.component, _HOOKS[type(event)]] = event.duration
        elif isinstance(event, events.Closed) and self._system is not None:
            self._last = self._system.status()
            self._system = None  # it is kept by nobody because of us

    def view(self) -> View:
        """What is known now. From any thread."""
        system = self._system
        status = self._last if system is None else system.status()
        assert status is not None  # noqa: S101  it is there before the system is let go
        # Copied in one step, as `dict` does it: the loop's thread may add to it meanwhile.
        return View(self._label, status, self._grace_period, self._times.copy())
