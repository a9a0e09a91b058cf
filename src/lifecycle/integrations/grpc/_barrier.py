"""Keeping calls out until what they need is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.errors import ClosedError, NotReadyError, RunError
from lifecycle.integrations.grpc._refusals import SHUTTING_DOWN
from lifecycle.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle import Component, System
    from lifecycle.gates import Gate

_MOST = 5


class Barrier:
    """Asked by each call whether it may pass; from any thread.

    Without `requires` it is open once the start of the system was done, and stays open. With it, as
    long as the gates of these components are.
    """

    def __init__(self, system: System, requires: Sequence[Component[Any]] | None) -> None:
        """Look up what is required.

        Raises:
            UnknownComponentError: it is no part of the system.

        """
        self._system = system
        self._is_open = False
        self._gates = None if requires is None else [system.gate(one) for one in requires]

    def why_closed(self) -> str | None:
        """Say what is missing, for the client: no secrets; None: it is open."""
        if self._gates is None:
            return None if self._is_open else self._why_not_started()
        return next(filter(None, map(_why_closed, self._gates)), None)

    def _why_not_started(self) -> str | None:
        status = self._system.status()
        self._is_open = status.started
        if self._is_open:
            return None
        if status.reason is not None:
            return SHUTTING_DOWN
        waits_for = [
            repr(one.name)
            for one in status.components.values()
            if one.state in (State.PENDING, State.STARTING)
        ]
        more = f" and {len(waits_for) - _MOST} more" if len(waits_for) > _MOST else ""
        return f"the service is starting, and waits for {', '.join(waits_for[:_MOST])}{more}"


def _why_closed(gate: Gate[Any]) -> str | None:
    try:
        gate.check()
    except NotReadyError as error:
        return f"the service is starting, and waits for {error.component!r}"
    except ClosedError:
        return SHUTTING_DOWN
    except RunError as error:
        return f"{getattr(error, 'component', 'a component')!r} has failed"
    return None
