"""What sees to it that a process ends in time, with the exit code that its run has earned.

:func:`lifecycle.run` has one, and so has what runs a system inside a server's process.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Final

from typing_extensions import Self

from lifecycle import console
from lifecycle._core import budget
from lifecycle._engine.running import Running
from lifecycle._engine.watchdog import Watchdog
from lifecycle.embedded import to_run
from lifecycle.ending import end_process, say_why
from lifecycle.listener import Listener
from lifecycle.settings import Response
from lifecycle.states import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from lifecycle._core.plan import Plan
    from lifecycle._engine.companions import Companion
    from lifecycle._engine.engine import Engine
    from lifecycle._engine.system import System
    from lifecycle.events import Observer
    from lifecycle.registry import Registry
    from lifecycle.report import Report
    from lifecycle.settings import Settings
    from lifecycle.signals import Handling

INTERRUPTED: Final = 130
"""The exit code of who was interrupted from the keyboard, as shells have it: 128 + SIGINT."""


class Overseer:
    """Watches over the one run of a process, from when it is entered until it is left.

    From the signal, or the request to shut down, that came first, the process has the grace period,
    and from a second interrupt a few seconds: a blocked event loop, or a stuck thread, does not
    keep it alive past that.
    """

    def __init__(
        self, settings: Settings, handling: Handling | None = None, *, owns_process: bool
    ) -> None:
        """Prepare it.

        Args:
            settings: those of the run.
            handling: what takes the signals; None: nobody does.
            owns_process: whether it may end the process.

        """
        self._settings = settings
        self._handling = handling
        self._engine: Engine | None = None
        self._owns_process = owns_process
        self._while_it_runs = contextlib.ExitStack()
        self._watchdog = Watchdog(
            code=self._code,
            say_why=functools.partial(say_why, self._explain),
            end=end_process,
            enabled=settings.watchdog and owns_process,
        )
        self.received: list[int] = []
        """The signals that came and are not ignored, in order."""

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._watchdog.start()
        if self._handling is not None:
            self._handling.on_signal = self._signalled
            self._handling.on_last = lambda _: self._watchdog.end_now(INTERRUPTED)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """It has ended in time."""
        self._while_it_runs.close()
        self._watchdog.disarm()

    def running(
        self,
        registry: Registry | Plan,
        companions: Sequence[Companion] = (),
        observers: Sequence[Observer] = (),
    ) -> Running:
        """Make the run to watch over; signals reach it from before its start.

        Args:
            registry: what to run, or a plan of it.
            companions: what accompanies the system, beside what the settings ask for.
            observers: what is told every event.

        Raises:
            DefinitionError: what was declared, or a setting, cannot work.
            TypeError: one of these is something else.

        """
        parts = to_run("run()", registry, self._settings, companions, observers)
        return Running(*parts, self._prepare)

    @property
    def system(self) -> System | None:
        """The system, once it begins."""
        return None if self._engine is None else self._engine.system

    @property
    def report(self) -> Report | None:
        """The account of the run, once it is over."""
        return None if self._engine is None else self._engine.report

    def end_process(self, report: Report) -> None:
        """Say what happened, and end the process now, if that may be."""
        if self._owns_process:
            console.say(console.account(report))
            end_process(report.exit_code)

    def code_with(self, asked: int) -> int:
        """The exit code where one more was asked for, after the report; the first one counts."""
        assert self._engine is not None  # noqa: S101  there is a report
        verdict = self._engine.account.verdict
        verdict.asked_code = verdict.asked_code or asked
        return verdict.exit_code

    def _prepare(self, engine: Engine) -> None:
        self._engine = engine
        engine.shutdown.on_time_left = self._arm
        engine.on_closed = self._closed
        if self._handling is not None:
            self._handling.attach(engine.system)
            if self._owns_process and threading.current_thread() is threading.main_thread():
                self._listen()

    def _listen(self) -> None:
        """Hear the signals whose handlers cannot be called: a hook is stuck outside of Python."""
        listener = Listener(
            self._settings,
            on_asked=functools.partial(self._arm, self._settings.grace_period),
            on_last=lambda _: self._watchdog.end_now(INTERRUPTED),
        )
        self._while_it_runs.enter_context(listener)

    def _signalled(self, number: int) -> None:
        """In the handler: from here on the process ends in time, whatever else happens."""
        if self._settings.signals.get(number, Response.IGNORE) is not Response.IGNORE:
            self.received.append(number)
            self._arm(self._settings.grace_period)

    def _arm(self, left: float) -> None:
        self._watchdog.arm(left, budget.margin(self._settings.grace_period))

    def _closed(self, report: Report) -> None:
        """Nothing is left but what was abandoned: do not wait for that, where it still goes on."""
        assert self._engine is not None  # noqa: S101  it is what has closed
        if self._engine.has_left_behind:
            self.end_process(report)

    def _code(self) -> int:
        """The exit code that the report would have: something is stuck, so it is not complete."""
        if self._engine is None:
            return ExitCode.INCOMPLETE
        verdict = self._engine.account.verdict
        verdict.incomplete = True
        verdict.forced_by = self._engine.shutdown.forced_by  # a blocked loop has not come to that
        return verdict.exit_code

    def _explain(self) -> str:
        why = f"the grace period of {self._settings.grace_period:g} s is over"
        if self._engine is not None and self._engine.shutdown.forced_by is not None:
            why = "a second interrupt has cut the shutdown short"
        lines = [
            f"lifecycle: {why}, and the process has not ended: the event loop is blocked, or a "
            "thread is stuck. It is ended now. What was running:"
            if self.report is None
            else f"lifecycle: {why}. The system has ended, and the process has not: a thread is "
            "stuck, or stderr is too slow for what is written there. It is ended now."
        ]
        if self._engine is not None:
            for host in self._engine.hosts:
                if host is not None and host.hook is not None:
                    lines.append(f"the {host.hook} hook of {host.node.name!r}, at:")
                    lines.append(host.stack())
        lines.append("All threads:\n")
        return "\n".join(lines)
