"""Running a system inside an event loop that is somebody else's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, TypeVar

# To be loaded is what the planner does: who makes a plan while a system runs waits for no import.
import lifecycle._planning.planner  # pyright: ignore[reportUnusedImport]
import lifecycle.registry
from lifecycle._core.plan import Plan, check_settings
from lifecycle._engine.observers import refuse
from lifecycle._engine.running import Running
from lifecycle.settings import given_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from lifecycle._engine.companions import Companion
    from lifecycle._engine.system import System
    from lifecycle.events import Observer
    from lifecycle.registry import Registry
    from lifecycle.settings import Settings

T = TypeVar("T")
U = TypeVar("U")


def running(
    registry: Registry | Plan,
    settings: Settings | None = None,
    *,
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
) -> AbstractAsyncContextManager[System, None]:
    """Run a system for the time of an ``async with``: no signal, no loop, no exit.

    Once the body runs, everything that is not optional is ready. When it ends, everything is
    drained and stopped; no task is left.

    Args:
        registry: what to run, or a plan of it.
        settings: the numbers; by default ``Settings()``.
        companions: what accompanies the system from before the first start until after the last
            stop: callables that are given the system and return an async context manager.
        observers: what is told every event.

    Raises:
        DefinitionError: at once, what was declared, or a setting, cannot work.
        ImportError: at once, the extra that serves probes is not installed, and settings ask for
            them.
        RunError: from the ``async with``, after everything has been stopped: the first cause of
            what went wrong, which carries the ``report``. An exception of the body leaves it as it
            is, unless the system had failed before.
        ClosedError: from the ``async with``, a shutdown was asked for before the start was over.
        KeyboardInterrupt: from the ``async with``, after everything has been stopped: a hook or a
            service was interrupted, and nothing had gone wrong before.
        RuntimeError: from the ``async with``, it was entered before.
        TypeError: at once, the registry, the settings, a companion or an observer is something
            else.

    """
    parts = to_run("running()", registry, settings, companions, observers)
    # Typed as swallowing nothing, so that what follows the `async with` counts as reached.
    return Running(*parts)  # type: ignore[return-value] # pyright: ignore[reportReturnType]


def to_run(
    taker: str,
    registry: Registry | Plan,
    settings: Settings | None,
    companions: Sequence[Companion],
    observers: Sequence[Observer],
) -> tuple[Plan, Settings, Sequence[Companion], Sequence[Observer]]:
    """Look at what is to be run, before anything is, and add what the settings ask for.

    Args:
        taker: what it was passed to.
        registry: what to run, or a plan of it.
        settings: the numbers; None: the defaults.
        companions: what accompanies the system.
        observers: what is told every event.

    Returns:
        The plan, the settings, all companions, and the observers.

    Raises:
        TypeError: one of these is something else.
        DefinitionError: what was declared, or a setting, cannot work.
        ImportError: the extra that serves probes is not installed, and settings ask for them.
    """
    settings = given_settings(settings, taker)
    companions, observers = given_around(taker, companions, observers)
    plan = _plan_of(taker, registry, settings)
    check_settings(plan, settings)
    return plan, settings, (*_accompanying(settings, companions), *companions), observers


def given_around(
    taker: str, companions: Iterable[T], observers: Iterable[Observer]
) -> tuple[tuple[T, ...], tuple[Observer, ...]]:
    """Take what accompanies a run, and what observes it.

    Args:
        taker: what it was passed to.
        companions: what accompanies the system.
        observers: what is told every event.

    Raises:
        TypeError: one of these is something else.
    """
    companions = _listed(taker, "companions", companions)
    for companion in companions:
        if not callable(companion):
            message = f"{taker} takes companions that can be called, and {companion!r} cannot"
            raise TypeError(message)
    observers = _listed(taker, "observers", observers)
    for observer in observers:
        refuse(taker, observer)
    return companions, observers


def _listed(taker: str, what: str, given: Iterable[U]) -> tuple[U, ...]:
    """Take several; an iterator gives them once."""
    try:
        each = iter(given)
    except TypeError:
        message = f"{taker} takes {what} in a list, not {given!r}"
        raise TypeError(message) from None
    return tuple(each)


def _plan_of(taker: str, registry: object, settings: Settings) -> Plan:
    if isinstance(registry, Plan):
        return registry
    if isinstance(registry, lifecycle.registry.Registry):
        return registry.plan(settings)
    message = f"{taker} takes a Registry, or a plan of one, not {registry!r}"
    raise TypeError(message)


def _accompanying(settings: Settings, given: Sequence[Companion]) -> tuple[Companion, ...]:
    """The companions that settings ask for: where an address for probes is set, a probe server.

    It is an edge, and so is known by name only; nothing of it is imported where it is not used.

    Args:
        settings: what asks for them.
        given: the companions that there are already.

    Raises:
        ImportError: the extra that it needs is not installed.
    """
    if settings.probes is None:
        return ()
    made: tuple[Companion, ...] = importlib.import_module("lifecycle.probes").companions(
        settings, given
    )
    return made
