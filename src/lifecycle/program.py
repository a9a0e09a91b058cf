"""The whole program: loop, signals, exit code."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, Literal

import anyio
import attrs

from lifecycle import console
from lifecycle._engine.cancellation import code_of
from lifecycle.errors import DefinitionError, RunError
from lifecycle.overseer import INTERRUPTED, Overseer
from lifecycle.settings import Settings, given_settings
from lifecycle.signals import Handling
from lifecycle.states import ExitCode, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from lifecycle._core.plan import Plan
    from lifecycle._engine.companions import Companion
    from lifecycle._engine.running import Running
    from lifecycle.events import Observer
    from lifecycle.registry import Registry
    from lifecycle.report import Report

    Backend: TypeAlias = Literal["asyncio", "uvloop", "trio"]


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
        SystemExit: with an :class:`lifecycle.ExitCode`, or the program's own; also where what was
            declared, or a setting, cannot work (78).
        ValueError: there is no such event loop.
        TypeError: the registry, the settings, a companion or an observer is something else.
        ImportError: the event loop is not installed, or the extra that serves probes is not.

    """
    options = _loop_options(backend)
    try:
        settings = Settings.from_env() if settings is None else given_settings(settings, "run()")
    except DefinitionError as error:
        raise _refused(error) from None
    with console.ShortLines(logging.getLogger("lifecycle")), Handling(settings.signals) as handling:
        owns_process = threading.current_thread() is threading.main_thread()
        with Overseer(settings, handling, owns_process=owns_process) as overseer:
            try:
                running = overseer.running(registry, companions, observers)
            except DefinitionError as error:
                raise _refused(error) from None
            report = _ended(overseer, _run_loop(running, options))
            if report.outcome is Outcome.CLEAN and not report.exit_code:
                return report
            # Not after the watchdog: where nobody reads stderr, this is written for ever.
            console.say(console.account(report))
            raise SystemExit(report.exit_code)


def _ended(overseer: Overseer, left_by: BaseException | None) -> Report:
    """How it went, with what the loop was left by that is not in the report of the system."""
    report = overseer.report
    if isinstance(left_by, SystemExit):
        return _left_by(left_by, overseer)
    if left_by is not None:
        if report is None:  # it had not begun
            raise SystemExit(INTERRUPTED)
        if report.outcome is not Outcome.FORCED:
            # It came before the body, or after: no more was known than a cancellation.
            report = attrs.evolve(report, exit_code=INTERRUPTED)
    assert report is not None  # noqa: S101  it was entered, and is over
    return report


def _run_loop(running: Running, options: dict[str, Any]) -> BaseException | None:
    """Run the event loop; returns what it was left by that is not in the report."""
    try:
        anyio.run(_main, running, **options)
    except RunError:
        return None
    except (KeyboardInterrupt, SystemExit) as raised:
        return raised
    except BaseException as raised:
        # What asyncio makes of an interrupt that nobody takes is a cancellation of the main task,
        # and not always a KeyboardInterrupt again.
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or not isinstance(raised, asyncio.CancelledError):
            raise
        return KeyboardInterrupt()
    return None


async def _main(running: Running) -> None:
    async with running as system:
        try:
            await system.closed()
        except anyio.get_cancelled_exc_class():
            # Of an interrupt asyncio makes a cancellation of this task; trio raises it.
            if system.shutdown_reason is None and not _loop_ends():  # else it may be our own
                raise KeyboardInterrupt from None
            raise


def _loop_ends() -> bool:
    """Whether asyncio ends its loop, since some task has raised a SystemExit: it cancels them all.

    An interrupt cancels this one alone.
    """
    asyncio = sys.modules.get("asyncio")
    try:
        this = None if asyncio is None else asyncio.current_task()
    except RuntimeError:
        return False
    if asyncio is None or this is None:
        return False
    return any(_is_cancelled(task) for task in asyncio.all_tasks() if task is not this)


def _is_cancelled(task: Any) -> bool:
    if sys.version_info >= (3, 11):
        return bool(task.cancelling())
    # Tasks do not tell yet. One that has not run since either waits for what was cancelled with it,
    # or is about to have it thrown in; one that has run has told the system already.
    waits_for = getattr(task, "_fut_waiter", None)
    waits_for_cancelled = waits_for is not None and waits_for.cancelled()
    return waits_for_cancelled or getattr(task, "_must_cancel", False)


def _left_by(raised: SystemExit, overseer: Overseer) -> Report:
    """What is to be told where the loop was left by a SystemExit, in a task that is no hook's."""
    report = overseer.report
    if report is None:
        raise raised
    console.say(
        f"lifecycle: a task raised SystemExit({raised.code!r}), for which asyncio ends its loop "
        "and cancels every task. Raise it in a hook, or call `shut_down(exit_code=…)`.\n"
    )
    return attrs.evolve(report, exit_code=overseer.code_with(code_of(raised)))


def _refused(error: DefinitionError) -> SystemExit:
    notes = getattr(error, "__notes__", ())
    console.say("\n".join([f"lifecycle: {error}", *(f"  {note}" for note in notes)]) + "\n")
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
