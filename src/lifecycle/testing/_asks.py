"""A shutdown that is asked for at some step of the start."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Final

from lifecycle import events
from lifecycle.instruments import HookCall, Instrument
from lifecycle.testing._steps import Step, Stepped
from lifecycle.testing._transcript import describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle import System

WAIT: Final = ", wait "
_REASON: Final = "asked by the test"


def at_wait(component: str, number: int) -> str:
    """Say that it is to be asked for while the start of a component waits for the n-th time."""
    return f"{component} starts{WAIT}{number}"


class Asks(Instrument):
    """Asks when something has happened: companion, observer, and around the hooks."""

    name = "lifecycle.testing"

    def __init__(self, at: str) -> None:
        """Ask at a line of the transcript, or at a wait of the start that begins there.

        Args:
            at: the line, without its time; or what `at_wait` gives.

        """
        self.line = at
        self._line, _, wait = at.partition(WAIT)
        self._wait = int(wait or 0)
        self._system: System | None = None
        self.have_asked = False
        """Whether it came to that."""

    def __call__(self, given: System | events.Event) -> Any:
        """Be given the system, or an event."""
        if isinstance(given, events.Event):
            if not self._wait and describe(given) == self._line and self._system is not None:
                self._ask(self._system)
            return None
        self._system = given
        return contextlib.nullcontext()

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Look at what waits."""
        is_start = call.hook in ("start", "run") and call.in_thread is None
        if not (self._wait and is_start and self._line == f"{call.component} starts"):
            return await proceed()
        return await Stepped(proceed(), _go_on, functools.partial(self._waits, call))

    def _waits(self, call: HookCall, number: int) -> None:
        if number == self._wait:
            self._ask(call.system)

    def _ask(self, system: System) -> None:
        self.have_asked = True
        system.shut_down(_REASON)


def _go_on(step: Step) -> None:
    del step
