"""How a component stands, in a word, a shape and a colour; never in a colour alone."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from lifecycle.probes.page.words import some
from lifecycle.states import State

if TYPE_CHECKING:
    from lifecycle.report import CheckResult, ComponentStatus


class Tone(str, enum.Enum):
    """How much something asks to be looked at."""

    IDLE = "idle"
    """It is not its turn, or over."""
    BUSY = "busy"
    """Something goes on, as it should."""
    GOOD = "good"
    WARN = "warn"
    """It works, and not as it should."""
    BAD = "bad"

    def __str__(self) -> str:
        return self.value


@attrs.frozen
class Standing:
    """How a component stands."""

    word: str
    """Short enough for the picture."""
    shape: str
    """The name of its sign."""
    tone: Tone
    note: str | None = None
    """What else is to be said."""


_TONES = {
    State.PENDING: Tone.IDLE,
    State.STARTING: Tone.BUSY,
    State.READY: Tone.GOOD,
    State.DRAINING: Tone.BUSY,
    State.DRAINED: Tone.IDLE,
    State.STOPPING: Tone.BUSY,
    State.STOPPED: Tone.IDLE,
    State.FAILED: Tone.BAD,
    State.SKIPPED: Tone.IDLE,
}


def standing(component: ComponentStatus) -> Standing:
    """Say how a component stands."""
    state = component.state
    if state is State.READY and component.unavailable is not None:
        note = f"ready, but says: {component.unavailable}"
        return Standing("unavailable", "warning", Tone.WARN, note)
    if state is State.READY and not all(check.ok for check in component.checks):
        return Standing("check fails", "warning", Tone.WARN, "ready, but a check of it fails")
    return Standing(state.value, state.value, _TONES[state], _note(component))


def _note(component: ComponentStatus) -> str | None:
    if component.error is not None:
        return component.error
    if component.waits_for and component.state in (State.PENDING, State.STARTING):
        return f"waits for {some(component.waits_for)}"
    return None


def is_well(component: ComponentStatus) -> bool:
    """Whether it does what it is there for."""
    return standing(component).tone is Tone.GOOD


def failing(component: ComponentStatus) -> CheckResult | None:
    """Find the first of its checks that fails."""
    return next((check for check in component.checks if not check.ok), None)
