"""What ends by itself while it was to run."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from lifecycle import events
from lifecycle._core.component import Kind
from lifecycle._engine.cancellation import culprit, exit_in
from lifecycle.errors import CrashedError
from lifecycle.states import Phase, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._engine.engine import Engine
    from lifecycle._engine.host import Host


class Crashes:
    """The crashes, and the early ends, of one system."""

    def __init__(self, engine: Engine) -> None:
        """Nothing has ended."""
        self._engine = engine
        self._after_start: list[Callable[[], None]] = []

    def has_crashed(self, host: Host, cause: BaseException | None, reason: str = "") -> None:
        """A component ended by itself while it was to run."""
        node = host.node
        error = CrashedError(node.name, reason)
        error.__cause__ = None if cause is None else culprit(cause)
        host.crash = error
        was_running = self._engine.shutdown.reason is None
        if was_running and not node.optional:
            # Readiness is off before anybody is told. The cause of a group's crash shows only when
            # the component is stopped.
            self._engine.account.verdict.crashed = True
            self._engine.shutdown.note_failure(str(error), error.__cause__ or error)
        self._engine.mark(node.index)
        self._engine.tell(events.ComponentCrashed, component=node.name, error=error)
        if host.hook == "drain":
            host.finish()
        if node.optional:
            self._engine.account.of_optional(error, node.index)
        else:
            self._engine.account.note(error, node.index)
            if was_running:
                self._engine.shutdown.failed(error)
            else:
                self._engine.account.verdict.incomplete = True
        self._engine.in_flight.has_crashed(node.index)
        self._engine.apply(self._engine.machine.crashed, node.index)

    def service_ended(self, host: Host, error: BaseException | None, returned: object) -> None:
        """A service or main has ended before it was asked to."""
        node = host.node
        if error is None and node.kind is Kind.MAIN and (problem := _no_code(returned)) is not None:
            error = problem
        if (asks := exit_in(error)) is not None:
            self._engine.shutdown.interrupted(asks, repr(node.name))
        elif error is not None:
            self.has_crashed(host, error)
        elif node.kind is Kind.MAIN:
            code = returned if isinstance(returned, int) else 0
            self._engine.shutdown.ask_for_code(code)  # somebody else may end the start
            self._ask_when_running(f"{node.name!r} has ended", Trigger.END, delay=False)
        elif self._engine.shutdown.reason is None and node.on_return == "crash":
            self.has_crashed(host, None, "it returned, and was to run as long as the system")
        elif node.on_return == "shut_down":
            self._ask_when_running(f"{node.name!r} has returned", Trigger.REQUEST, delay=True)

    def take_exit_code(
        self, host: Host, error: BaseException | None, returned: object
    ) -> BaseException | None:
        """A service that was asked to drain has ended: if it is a main, its code counts."""
        if error is not None or host.node.kind is not Kind.MAIN:
            return error
        problem = _no_code(returned)
        if problem is None and isinstance(returned, int):
            self._engine.shutdown.ask_for_code(returned)
        return problem

    def end_of_start(self) -> None:
        """The start is over: what ended during it counts from here on."""
        for ask in self._after_start:
            self._engine.keeper.post(ask)

    def _ask_when_running(self, reason: str, trigger: Trigger, *, delay: bool) -> None:
        """Ask for a shutdown, but not before the start is over."""
        ask = functools.partial(self._engine.shutdown.request, reason, trigger, delay=delay)
        if self._engine.machine.phase in (Phase.PREFLIGHT, Phase.STARTING):
            self._after_start.append(ask)
        else:
            ask()


def _no_code(returned: object) -> ValueError | None:
    """What is wrong with the exit code that a main returned."""
    if returned is None or (isinstance(returned, int) and 0 <= returned <= _LAST_CODE):
        return None
    if not isinstance(returned, int):
        return None  # whatever else it returns is no exit code
    return ValueError(f"a main returned {returned!r}, but an exit code is from 0 to {_LAST_CODE}")


_LAST_CODE = 255
