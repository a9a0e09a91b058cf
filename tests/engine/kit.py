"""What the tests of the engine share: runs in virtual time, and transcripts of them.

`Life` runs an async function on one backend. On asyncio, asyncio with eager tasks, and trio, time
is virtual: when nothing is left to do it jumps to whatever is due next, so that no test ever
sleeps. It stands still while a component's thread works, since that looks idle to an event loop; a
thread that is to be stuck says so, by a `Stuck`. uvloop has its own clock, which is the real one:
only tests that are marked for it, and take no time, run there.

After each run no task and no thread of lifecycle's may be left.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import attrs

from lifecycle import Registry, Settings, System, events, running, testing
from lifecycle.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from lifecycle import Plan, Report
    from lifecycle._engine.companions import Companion

T = TypeVar("T")

BACKENDS = ("asyncio", *(("eager",) if sys.version_info >= (3, 12) else ()), "trio")

_PATIENCE = 20.0
"""How long a run in which nothing is due may wait for the outside world, in real seconds."""
_LONGEST = 1e6
"""How long a run may take, in virtual seconds: a wait for ever ends then, instead of hanging."""


@attrs.frozen
class Lived:
    """What came of the life of a system."""

    report: Report | None = attrs.field(repr=False)  # it may be that of 100 000 components
    """None where it never began."""
    error: BaseException | None
    """What `running` raised."""
    system: System | None = None
    """None where the body was not reached."""
    result: Any = None
    """What the body returned."""

    @property
    def errors(self) -> list[str]:
        """All errors of the report, each as one line."""
        assert self.report is not None
        return [one_line(error) for error in self.report.errors]


class Life:
    """Runs async functions on one backend, in virtual time, and keeps the transcript."""

    def __init__(self, backend: str, *, seed: int | None = None) -> None:
        self.backend = backend
        self.seed = seed
        """What makes tasks late, where time is virtual."""
        self.log: list[str] = []
        """What was noted, each with its time: ``"1.5 database starts"``."""
        self.words: list[str] = []
        """The same without the times."""
        self._now: Callable[[], float] = float
        self._stuck: list[testing.Stuck] = []

    @property
    def is_real(self) -> bool:
        """Whether time is the real one."""
        return self.backend == "uvloop"

    def now(self) -> float:
        """The time since the run began, in seconds; from any thread."""
        return self._now()

    def note(self, what: str) -> None:
        """Write a line into the transcript; from any thread."""
        self.log.append(f"{round(self.now(), 3):g} {what}")
        self.words.append(what)

    def observe(self, event: events.Event) -> None:
        """Write an event into the transcript: an observer."""
        self.note(describe(event))

    # --- running -------------------------------------------------------------------------------

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run an async function; returns what it returns."""

        async def bounded() -> T:
            if self.is_real:
                loop = asyncio.get_running_loop()
                began = loop.time()
                self._now = lambda: loop.time() - began
            else:
                clock = testing.clock()
                self._now = lambda: clock.now
            with anyio.fail_after(_PATIENCE if self.is_real else _LONGEST):
                result = await main()
            left = [task.name or "" for task in anyio.get_running_tasks()]
            assert [] == [name for name in left if name.startswith("lifecycle")]
            return result

        try:
            if self.is_real:
                return anyio.run(bounded, backend_options={"use_uvloop": True})
            eager = self.backend == "eager"
            backend: Any = "asyncio" if eager else self.backend
            return testing.run(bounded, backend=backend, eager_tasks=eager, seed=self.seed)
        finally:
            for stuck in self._stuck:
                stuck.release()
            _join_threads()

    def live(
        self,
        registry: Registry | Plan,
        body: Callable[[System], Awaitable[Any]] | None = None,
        settings: Settings | None = None,
        *,
        companions: Sequence[Companion] = (),
        observers: Sequence[events.Observer] = (),
    ) -> Lived:
        """Run a whole system, with a body that ends at once if none is given."""

        async def main() -> Lived:
            system: System | None = None
            report: Report | None = None
            error: BaseException | None = None
            result: Any = None

            try:
                async with running(
                    registry, settings, companions=companions, observers=observers
                ) as system:
                    if body is not None:
                        result = await body(system)
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as raised:  # noqa: BLE001  the test looks at it
                error = raised
                report = getattr(raised, "report", None)
            if system is not None:
                report = system.report
            return Lived(report, error, system, result)

        return self.run(main)

    # --- threads -------------------------------------------------------------------------------

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Call a function in a thread that has nothing to do with the system."""
        return await anyio.to_thread.run_sync(function)

    def stuck(self) -> testing.Stuck:
        """Something that sync hooks can be stuck in, until the end of the run at the latest."""
        stuck = testing.Stuck()
        self._stuck.append(stuck)
        return stuck


def _join_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("lifecycle "):
            thread.join(_PATIENCE)
            assert not thread.is_alive(), f"{thread.name} is left"


# --- transcripts ---------------------------------------------------------------------------------


def describe(event: events.Event) -> str:
    """What happened, in a few words: ``database is ready``."""
    error = getattr(event, "error", None)
    for kind, words in _WORDS.items():
        if isinstance(event, kind):
            text = words.format(**attrs.asdict(event, recurse=False))
            return text if error is None else f"{text}: {one_line(error)}"
    raise TypeError(event)


_WORDS: dict[type, str] = {
    events.PhaseChanged: "= {phase}",
    events.ShutdownRequested: "asked to shut down: {reason}",
    events.CompanionStarting: "companion {companion} starts",
    events.CompanionStarted: "companion {companion} started",
    events.CompanionStopping: "companion {companion} stops",
    events.CompanionStopped: "companion {companion} stopped",
    events.CheckStarting: "check {check} starts",
    events.CheckEnded: "check {check} ended",
    events.ComponentStarting: "{component} starts",
    events.ComponentStarted: "{component} started",
    events.ComponentRetrying: "{component} attempt {attempt} failed, next in {delay:g}",
    events.ComponentSkipped: "{component} skipped because of {because_of}",
    events.ComponentDraining: "{component} drains",
    events.ComponentDrained: "{component} drained",
    events.ComponentStopping: "{component} stops",
    events.ComponentStopped: "{component} stopped",
    events.ComponentCrashed: "{component} crashed",
    events.AvailabilityChanged: "{component} unavailable: {unavailable}",
    events.HealthChanged: "{check} of {component} says: {failure}",
    events.WorkCancelled: "{component} lost {what}",
    events.HookAbandoned: "{component} abandoned in its {hook}",
    events.Closed: "closed: {outcome}, {exit_code}",
}


class Spy:
    """A companion that keeps the system, for when the body is not reached."""

    system: System

    def __call__(self, system: System) -> contextlib.AbstractAsyncContextManager[None]:
        self.system = system
        return contextlib.nullcontext()

    @property
    def report(self) -> Report:
        """The report of the system, which is over."""
        assert self.system.report is not None
        return self.system.report


class Noted:
    """An object with hooks that writes what happens to it into the transcript."""

    def __init__(self, life: Life, name: str, *, takes: float = 0.0) -> None:
        self._note = functools.partial(_note, life, name)
        self._takes = takes

    async def start(self) -> None:
        """Start, in the time it takes."""
        await self._do("start")

    async def drain(self) -> None:
        """Drain likewise."""
        await self._do("drain")

    async def stop(self) -> None:
        """Stop likewise."""
        await self._do("stop")

    async def _do(self, hook: str) -> None:
        self._note(hook)
        if self._takes:
            await anyio.sleep(self._takes)


def _note(life: Life, name: str, hook: str) -> None:
    life.note(f"{name}.{hook}")
