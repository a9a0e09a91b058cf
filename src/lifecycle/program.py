"""The whole program: loop, signals, exit code."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, Literal

import anyio

from lifecycle import console, processes
from lifecycle._core import budget
from lifecycle._core.plan import Plan, check_settings
from lifecycle._engine.running import Running
from lifecycle._engine.watchdog import Watchdog
from lifecycle.embedded import accompanying
from lifecycle.errors import DefinitionError, RunError
from lifecycle.settings import Response, Settings
from lifecycle.signals import Handling
from lifecycle.states import ExitCode, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from lifecycle._engine.companions import Companion
    from lifecycle._engine.engine import Engine
    from lifecycle.events import Observer
    from lifecycle.registry import Registry
    from lifecycle.report import Report

    Backend: TypeAlias = Literal["asyncio", "uvloop", "trio"]

_LAST_INTERRUPT = 130


def run(
    registry: Registry | Plan,
    settings: Settings | None = None,
    *,
    backend: Backend = "asyncio",
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
) -> Report:
    """Run a system as the whole program: its loop, its signals, its exit code.

    Returns when the outcome is clean and the exit code 0. Otherwise it prints what happened to
    stderr and raises ``SystemExit``, so that whoever writes nothing around it gets the right code.

    Args:
        registry: what to run, or a plan of it.
        settings: the numbers; by default ``Settings.from_env()``.
        backend: the event loop; ``uvloop`` and ``trio`` need the extras of that name.
        companions: what accompanies the system, as for :func:`lifecycle.running`.
        observers: what is told every event.

    Raises:
        SystemExit: with an :class:`lifecycle.ExitCode`, or the program's own.
        ImportError: the event loop is not installed.

    """
    options = _loop_options(backend)
    try:
        settings = Settings.from_env() if settings is None else settings
    except DefinitionError as error:
        raise _refused(error) from None
    with console.ShortLines(logging.getLogger("lifecycle")), Handling(settings.signals) as handling:
        try:
            plan = registry if isinstance(registry, Plan) else registry.plan(settings)
            check_settings(plan, settings)
        except DefinitionError as error:
            raise _refused(error) from None
        companions = (*accompanying(settings), *companions)
        program = _Program(settings, handling)
        report = program.run(
            Running(plan, settings, companions, observers, program.prepare), options
        )
    if report.outcome is Outcome.CLEAN and not report.exit_code:
        return report
    sys.stderr.write(console.account(report))
    raise SystemExit(report.exit_code)


class _Program:
    """One call of `run`."""

    def __init__(self, settings: Settings, handling: Handling) -> None:
        self._settings = settings
        self._handling = handling
        self._engine: Engine | None = None
        self._owns_process = threading.current_thread() is threading.main_thread()
        self._watchdog = Watchdog(
            code=self._code,
            explain=self._explain,
            end=processes.end_process,
            enabled=settings.watchdog and self._owns_process,
        )

    def run(self, running: Running, options: dict[str, Any]) -> Report:
        """Run the loop to its end."""
        self._watchdog.start()
        self._handling.on_signal = self._signalled
        self._handling.on_last = lambda _: self._watchdog.end_now(_LAST_INTERRUPT)
        try:
            with contextlib.suppress(RunError, KeyboardInterrupt):
                anyio.run(self._main, running, **options)
        finally:
            self._watchdog.disarm()
        assert self._engine is not None  # noqa: S101  it was entered
        assert self._engine.report is not None  # noqa: S101  it is over
        return self._engine.report

    def prepare(self, engine: Engine) -> None:
        """The system is about to begin."""
        self._engine = engine
        engine.shutdown.on_shutdown = self._arm
        engine.on_closed = self._closed
        self._handling.attach(engine.system)

    @staticmethod
    async def _main(running: Running) -> None:
        async with running as system:
            await system.closed()

    def _signalled(self, number: int) -> None:
        """In the handler: from here on the process ends in time, whatever else happens."""
        if self._settings.signals.get(number, Response.IGNORE) is not Response.IGNORE:
            self._arm(self._settings.grace_period)

    def _arm(self, left: float) -> None:
        self._watchdog.arm(left, budget.margin(self._settings.grace_period))

    def _closed(self, report: Report) -> None:
        """Nothing is left but what was abandoned, if anything was: do not wait for that."""
        if report.abandoned and self._owns_process:
            sys.stderr.write(console.account(report))
            processes.end_process(report.exit_code)

    def _code(self) -> int:
        """The exit code that the report would have: something is stuck, so it is not complete."""
        if self._engine is None:
            return ExitCode.INCOMPLETE
        self._engine.account.verdict.incomplete = True
        return self._engine.account.verdict.exit_code

    def _explain(self) -> str:
        first = (
            f"lifecycle: the grace period of {self._settings.grace_period:g} s is over, and the "
            "process has not ended: the event loop is blocked, or a thread is stuck. It is ended "
            "now. What was running:"
        )
        lines = [first]
        if self._engine is not None:
            for host in self._engine.hosts:
                if host is not None and host.hook is not None:
                    lines.append(f"the {host.hook} hook of {host.node.name!r}, at:")
                    lines.append(host.stack())
        lines.append("All threads:\n")
        return "\n".join(lines)


def _refused(error: DefinitionError) -> SystemExit:
    notes = getattr(error, "__notes__", ())
    sys.stderr.write("\n".join([f"lifecycle: {error}", *(f"  {note}" for note in notes)]) + "\n")
    return SystemExit(int(ExitCode.CONFIG))


def _loop_options(backend: str) -> dict[str, Any]:
    if backend == "asyncio":
        return {"backend": "asyncio"}
    if backend not in ("uvloop", "trio"):
        message = f"backend is {backend!r}, but must be 'asyncio', 'uvloop' or 'trio'"
        raise ValueError(message)
    try:
        importlib.import_module(backend)
    except ImportError as error:
        message = f"{backend} is not installed: pip install 'anyio-lifecycle[{backend}]'"
        raise ImportError(message) from error
    if backend == "trio":
        return {"backend": "trio"}
    return {"backend": "asyncio", "backend_options": {"use_uvloop": True}}
