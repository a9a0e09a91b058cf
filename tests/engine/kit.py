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
import math
import selectors
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

import anyio
import anyio.to_thread
import attrs
import trio
import trio.testing

from lifecycle import Registry, Settings, System, events, running
from lifecycle._engine import threads  # the one private name: what time has to wait for
from lifecycle.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

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

    report: Report | None
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

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.log: list[str] = []
        """What was noted, each with its time: ``"1.5 database starts"``."""
        self.words: list[str] = []
        """The same without the times."""
        self.busy = _Busy()
        self._now: Callable[[], float] = float
        self._stuck: list[Stuck] = []

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
            clock = trio.lowlevel.current_clock().current_time if self.backend == "trio" else None
            now = clock or asyncio.get_running_loop().time
            began = now()
            self._now = lambda: now() - began
            with anyio.fail_after(_PATIENCE if self.is_real else _LONGEST):
                result = await main()
            left = [task.name or "" for task in anyio.get_running_tasks()]
            assert [] == [name for name in left if name.startswith("lifecycle")]
            return result

        try:
            with mock.patch.object(threads.Thread, "call", self.busy.counted(threads.Thread.call)):
                return anyio.run(bounded, **self._options())
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

    def _options(self) -> dict[str, Any]:
        if self.backend == "trio":
            clock = trio.testing.MockClock(autojump_threshold=0)
            self.busy.hold(clock)
            return {"backend": "trio", "backend_options": {"clock": clock}}
        if self.is_real:
            return {"backend": "asyncio", "backend_options": {"use_uvloop": True}}

        def loop() -> asyncio.AbstractEventLoop:
            loop = VirtualLoop(self.busy)
            if self.backend == "eager" and sys.version_info >= (3, 12):
                loop.set_task_factory(asyncio.eager_task_factory)
            return loop

        return {"backend": "asyncio", "backend_options": {"loop_factory": loop}}

    # --- threads -------------------------------------------------------------------------------

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Call a function in a thread that has nothing to do with the system; time stands still."""
        with self.busy.work():
            return await anyio.to_thread.run_sync(function)

    def stuck(self) -> Stuck:
        """Something that sync hooks can be stuck in while time goes on."""
        stuck = Stuck(self.busy)
        self._stuck.append(stuck)
        return stuck


class Stuck:
    """Blocks the threads of components until it is released, at the latest with the run."""

    def __init__(self, busy: _Busy) -> None:
        self._busy = busy
        self._released = threading.Event()
        self._inside: list[object] = []

    def block(self) -> None:
        """Block the component's thread that calls it; time goes on."""
        token = _job.token
        self._inside.append(token)
        self._busy.remove(token)
        self._released.wait()

    def release(self) -> None:
        """Let all go on, and time stand still while they work. On the loop, or after the run."""
        for token in self._inside:
            self._busy.add(token)
        self._inside.clear()
        self._released.set()


class _Job(threading.local):
    token: object = None


_job = _Job()


class _Busy:
    """What time has to wait for, since the event loop does not know of it."""

    def __init__(self) -> None:
        self._tokens: set[object] = set()
        self._clock: trio.testing.MockClock | None = None

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def add(self, token: object) -> None:
        """Something is being worked on. On the loop."""
        self._tokens.add(token)
        self._tell_clock()

    def remove(self, token: object) -> None:
        """It is done, or stuck. From any thread."""
        self._tokens.discard(token)
        self._tell_clock()

    @contextlib.contextmanager
    def work(self) -> Iterator[object]:
        """Time stands still meanwhile."""
        token = object()
        self.add(token)
        try:
            yield token
        finally:
            self.remove(token)

    def hold(self, clock: trio.testing.MockClock) -> None:
        """Hold trio's clock; asyncio's looks here by itself."""
        self._clock = clock
        self._entry: trio.lowlevel.TrioToken | None = None

    def _tell_clock(self) -> None:
        if self._clock is None:
            return
        if trio.lowlevel.in_trio_run():
            self._entry = trio.lowlevel.current_trio_token()
            self._clock.autojump_threshold = math.inf if self._tokens else 0
        elif self._entry is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._entry.run_sync_soon(self._tell_clock)

    def counted(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Count the calls in components' threads, from before the thread until back on the loop."""

        async def counted(
            thread: object, function: Callable[[], Any], *args: object, **kwargs: object
        ) -> Any:
            def work() -> Any:
                _job.token = token
                return function()

            with self.work() as token:
                return await call(thread, work, *args, **kwargs)

        return counted


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to what is due next when there is nothing else to do."""

    def __init__(self, busy: _Busy) -> None:
        self._virtual = _Selector()
        self._virtual.busy = busy
        super().__init__(self._virtual)

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self._virtual.now


class _Selector(selectors.DefaultSelector):
    now = 0.0
    busy: _Busy

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        while self.busy and (timeout is None or timeout > 0):
            if ready := super().select(0.01):
                return ready
        ready = super().select(_PATIENCE if timeout is None else 0)
        if timeout is None and not ready:
            message = f"nothing is due, ever:\n{self._tasks()}"
            raise RuntimeError(message)
        if timeout is not None and not ready:
            self.now += max(0.0, timeout)
        return ready

    @staticmethod
    def _tasks() -> str:
        stacks = (task.get_stack() for task in asyncio.all_tasks())
        frames = (stack[-1] for stack in stacks if stack)
        return "\n".join("".join(traceback.format_stack(frame, limit=1)) for frame in frames)


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
