"""How the whole system stands, in a word and a sentence for a person who has just been woken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lifecycle.probes.page.standing import Tone, is_well, standing
from lifecycle.probes.page.words import some
from lifecycle.states import Outcome, Phase, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.report import ComponentStatus, Status


@attrs.frozen
class Headline:
    """How a system stands."""

    word: str
    sentence: str
    tone: Tone
    shape: str
    """The name of its sign."""


_SHAPES = {
    Tone.IDLE: "stopped",
    Tone.BUSY: "starting",
    Tone.GOOD: "ready",
    Tone.WARN: "warning",
    Tone.BAD: "failed",
}
_PHASES = {
    Phase.PREFLIGHT: ("Preflight", "Checks run; no component has been started.", Tone.BUSY),
    Phase.STARTING: (
        "Starting",
        "Each component starts the moment that what it needs is ready.",
        Tone.BUSY,
    ),
    Phase.DELAYING: (
        "Delaying",
        "Shutting down: not ready, and still serving while traffic moves away.",
        Tone.WARN,
    ),
    Phase.DRAINING: (
        "Draining",
        "Shutting down: no new work is taken, and work in flight is finished.",
        Tone.BUSY,
    ),
    Phase.CLOSING: (
        "Closing",
        "Shutting down: components stop, dependents before what they need.",
        Tone.BUSY,
    ),
    Phase.ROLLING_BACK: (
        "Rolling back",
        "The start failed: what had started is stopped again.",
        Tone.BAD,
    ),
    Phase.CLOSED: ("Closed", "Everything has ended.", Tone.IDLE),
}
_OUTCOMES = {
    Outcome.CLEAN: ("Everything ended as it should", Tone.IDLE),
    Outcome.START_FAILED: ("The start failed", Tone.BAD),
    Outcome.CRASHED: ("A component crashed", Tone.BAD),
    Outcome.INCOMPLETE: ("Not everything could be finished", Tone.WARN),
    Outcome.FORCED: ("The shutdown was cut short", Tone.WARN),
}
_FORWARD = (Phase.PREFLIGHT, Phase.STARTING, Phase.RUNNING)
_BACK = (Phase.PREFLIGHT, Phase.STARTING, Phase.ROLLING_BACK, Phase.CLOSED)

_GOALS = {
    Phase.DRAINING: ("drained", (State.DRAINED, State.STOPPING, State.STOPPED)),
    **dict.fromkeys(
        (Phase.CLOSING, Phase.ROLLING_BACK, Phase.CLOSED), ("stopped", (State.STOPPED,))
    ),
}


def headline(status: Status) -> Headline:
    """Say how a system stands."""
    if status.outcome is not None:
        said, tone = _OUTCOMES[status.outcome]
        sentence = f"{said}; exit code {status.exit_code}."
        return Headline("Closed", sentence, tone, _SHAPES[tone])
    if status.phase is Phase.RUNNING:
        return _running(status)
    word, sentence, tone = _PHASES[status.phase]
    shape = _SHAPES[tone]
    if status.phase in (Phase.DRAINING, Phase.CLOSING):
        shape = "draining" if status.phase is Phase.DRAINING else "stopping"
    return Headline(word, sentence, tone, shape)


def end_of(status: Status) -> str:
    """Say how it ended: ``clean, exit code 0``."""
    return f"{status.outcome}, exit code {status.exit_code}"


def steps(status: Status, *, delays: bool) -> tuple[tuple[Phase, ...], Phase]:
    """Say through which phases this life goes, and which is the one of now.

    Args:
        status: how it stands.
        delays: whether a shutdown begins with a drain delay.

    """
    phase = Phase.CLOSED if status.outcome is not None else status.phase
    if phase is Phase.ROLLING_BACK or status.outcome is Outcome.START_FAILED:
        return _BACK, phase
    delay = (Phase.DELAYING,) if delays or phase is Phase.DELAYING else ()
    return (*_FORWARD, *delay, Phase.DRAINING, Phase.CLOSING, Phase.CLOSED), phase


def progress(status: Status) -> tuple[str, str]:
    """Say how far the components are on the way that the system goes: ``3 of 6 ready``.

    Returns:
        That, and how many have left the way; empty where none has: ``1 failed``.

    """
    components = status.components.values()
    word, states = _GOALS.get(status.phase, ("ready", (State.READY,)))
    there = sum(one.state in states for one in components)
    lost = [
        f"{number} {state}"
        for state in (State.FAILED, State.SKIPPED)
        if (number := sum(one.state is state for one in components))
    ]
    return f"{there} of {len(components)} {word}", ", ".join(lost)


def _running(status: Status) -> Headline:
    unwell = [one for one in status.components.values() if not is_well(one)]
    needed = [one for one in unwell if not one.optional]
    if needed or not status.ready:
        because = f": {_named(needed)}" if needed else ""
        sentence = f"No new work should be sent here{because}."
        return Headline("Running, not ready", sentence, Tone.WARN, "warning")
    if unwell:
        sentence = f"It takes work, and does without: {_named(unwell)}."
        return Headline("Running, degraded", sentence, Tone.WARN, "warning")
    return Headline("Running", "Every component is ready, and work is taken.", Tone.GOOD, "ready")


def _named(components: Iterable[ComponentStatus]) -> str:
    return some([f"{one.name} ({standing(one).word})" for one in components])
