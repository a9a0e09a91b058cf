"""Whether the service is in rotation: whether new work should be sent here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle import events
from lifecycle.states import Phase

if TYPE_CHECKING:
    from lifecycle._engine.engine import Engine


class Rotation:
    """The say of one system, and of its components, in that."""

    def __init__(self, engine: Engine) -> None:
        """No component objects."""
        self._engine = engine
        self._unavailable: dict[int, str] = {}

    @property
    def is_ready(self) -> bool:
        """Whether new work should be sent here; from any thread."""
        engine = self._engine
        return (
            engine.shutdown.reason is None
            and engine.machine.phase is Phase.RUNNING
            and not any(not engine.plan.components[c].optional for c in list(self._unavailable))
        )

    def why_not(self, component: int) -> str | None:
        """Why a component is unavailable, if it is."""
        return self._unavailable.get(component)

    def note(self, component: int, why: object) -> None:
        """A component takes the service out of rotation or, with None, back; from any thread."""
        before = self._unavailable.pop(component, None)
        reason = None if why is None else str(why)  # it has to be written, whatever it is
        if reason is not None:
            self._unavailable[component] = reason
        if reason == before:
            return
        name = self._engine.name(component)
        self._engine.keeper.post(
            lambda: self._engine.tell(
                events.AvailabilityChanged, component=name, unavailable=reason
            )
        )
