"""One life of a system under test: what happens in it, and what came of it."""

from __future__ import annotations

import contextlib
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

import lifecycle
from lifecycle import events
from lifecycle.errors import one_line
from lifecycle.instruments import Instrument, instrumented
from lifecycle.settings import given_settings
from lifecycle.testing._leftovers import Leftovers
from lifecycle.testing._transcript import Transcript
from lifecycle.testing.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from lifecycle import Plan, Registry, Report, Settings, System
    from lifecycle.events import Observer

    Companion = Callable[[System], AbstractAsyncContextManager[Any]]

_T = TypeVar("_T")

_KEEPER = "lifecycle.testing"


class Life(AbstractAsyncContextManager["System", None]):
    """The life of a system under test; an ``async with`` that gives the system.

    It raises what :func:`lifecycle.running` raises; what is known of the life stays here.
    """

    system: System | None = None
    """None before it has begun."""
    report: Report | None = None
    """The account of the run, once it is over."""
    error: BaseException | None = None
    """What the ``async with`` has raised."""
    result: Any = None
    """What the body returned, where :func:`live` was given one."""
    stalled: Exception | None = None
    """Why it never ended, where it did not."""
    leftovers: tuple[str, ...] = ()
    """What it left behind: tasks, threads, async generators that never ended."""
    transcript: Transcript
    """What happened, in lines; begins with the life."""

    def __init__(  # noqa: PLR0913  what there is to say of a life
        self,
        registry: Registry | Plan,
        settings: Settings | None,
        *,
        faults: Sequence[Fault] = (),
        companions: Sequence[Companion] = (),
        observers: Sequence[Observer] = (),
        instruments: Sequence[Instrument] = (),
    ) -> None:
        """Nothing happens before it is entered."""
        self.settings = attrs.evolve(given_settings(settings, "a life under test"), probes=None)
        self.faults = _given(faults, "faults", Fault, "of lifecycle.testing.faults")
        self.events: list[events.Event] = []
        instruments = _given(instruments, "instruments", Instrument, "of lifecycle.instruments")
        self._instruments = (*self.faults, *instruments)
        self._observers = tuple(observers)
        self._companions = tuple(companions)
        self._registry = registry

    async def __aenter__(self) -> System:
        """Start the system."""
        self.transcript = Transcript()
        self._left = Leftovers()
        try:
            self._running = lifecycle.running(
                self._registry,
                self.settings,
                companions=(_Keeper(self), *self._companions),
                observers=(self._observe, *self._observers),
            )
            with ExitStack() as around:
                for instrument in self._instruments:
                    around.enter_context(instrumented(instrument))
                return await self._running.__aenter__()
        except BaseException as error:
            await self._is_over(error)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut it down, and wait for the end."""
        try:
            ended: Any = self._running.__aexit__(kind, error, traceback)
            swallowed = await ended
        except BaseException as raised:
            await self._is_over(raised)
            raise
        await self._is_over(None if swallowed else error)
        # Typed as swallowing nothing, so that what follows counts as reached: it swallows only
        # what it has thrown in itself.
        return swallowed  # type: ignore[no-any-return]

    async def _is_over(self, error: BaseException | None) -> None:
        self.error = error
        if self.system is not None:
            self.report = self.system.report
        self.leftovers = tuple(await self._left.found())

    def _observe(self, event: events.Event) -> None:
        if getattr(event, "companion", None) == _KEEPER:
            return
        self.events.append(event)
        self.transcript(event)
        if isinstance(event, events.Closed):
            for fault in self.faults:
                fault.release()

    @property
    def errors(self) -> list[str]:
        """All errors of the report, each as one line."""
        return [] if self.report is None else [one_line(error) for error in self.report.errors]


def _given(given: Any, name: str, kind: type[_T], home: str) -> tuple[_T, ...]:
    """Take what was passed as several, before anything is lived with it."""
    if isinstance(given, kind):
        message = f"{name} takes a list: put {given!r} in one, as {name}=[…]"
        raise TypeError(message)
    try:
        found: tuple[Any, ...] = tuple(given)
    except TypeError:
        message = f"{name} takes a list, not {given!r}"
        raise TypeError(message) from None
    for one in found:
        if not isinstance(one, kind):
            message = f"{name} takes those {home}, and {one!r} is none"
            raise TypeError(message)
    return found


class _Keeper:
    """A companion that keeps the system, for when the body is not reached."""

    name = _KEEPER

    def __init__(self, life: Life) -> None:
        self._life = life

    def __call__(self, system: System) -> AbstractAsyncContextManager[None]:
        self._life.system = system
        return contextlib.nullcontext()


def running(
    registry: Registry | Plan,
    settings: Settings | None = None,
    *,
    faults: Sequence[Fault] = (),
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
) -> Life:
    """Run a system under test for the time of an ``async with``.

    As :func:`lifecycle.running`, and what it gives keeps a transcript, the report, and what was
    left behind. Signals are simulated by ``system.signal(signal.SIGTERM)``, which goes through the
    very policy that `run` uses.

    Args:
        registry: what to run, mostly a changed copy: ``shop.override(database.to(FakePool()))``.
        settings: the numbers; by default ``Settings()``. No probes are answered: time is virtual,
            and sockets are not.
        faults: what is to go wrong; see :mod:`lifecycle.testing.faults`.
        companions: as for :func:`lifecycle.running`.
        observers: likewise.

    """
    return Life(registry, settings, faults=faults, companions=companions, observers=observers)
