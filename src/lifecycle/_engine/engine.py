"""The engine: carries out what the machine decides, and tells it what came of it.

Everything here runs on the loop's thread and never waits, except for `run` and what it calls. The
machine's commands go through one queue, so that carrying one out may bring about the next without
recursion: a chain of 100 000 plain values is as good as any.

Who does what: `Starts`, `Drains` and `Stops` carry out the commands of these names, `Crashes` sees
to what ends by itself, `Shutdown` to who asks for the end and how much time there is. Each reaches
the others through the engine.
"""

from __future__ import annotations

import contextvars
import functools
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from typing_extensions import ParamSpec

from lifecycle import events
from lifecycle._core import commands
from lifecycle._core.machine import Machine
from lifecycle._core.plan import limits_of
from lifecycle._engine import observers
from lifecycle._engine.account import Account
from lifecycle._engine.companions import Companions
from lifecycle._engine.crashes import Crashes
from lifecycle._engine.drains import Drains
from lifecycle._engine.escalation import Escalation
from lifecycle._engine.flag import Flag
from lifecycle._engine.gates import Gates
from lifecycle._engine.health import Health
from lifecycle._engine.in_flight import InFlight
from lifecycle._engine.instruments import Instruments
from lifecycle._engine.loop import Keeper, Loop
from lifecycle._engine.preflight import Preflight
from lifecycle._engine.pulse import Pulse
from lifecycle._engine.rotation import Rotation
from lifecycle._engine.shutdown import Shutdown
from lifecycle._engine.starts import Starts
from lifecycle._engine.stops import Stops
from lifecycle._engine.system import System
from lifecycle._engine.tasks import Tasks
from lifecycle._engine.turns import Turns
from lifecycle.states import Phase, State, Trigger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from lifecycle._core.component import Node
    from lifecycle._core.plan import NodeLimits, Plan
    from lifecycle._engine.body import Body
    from lifecycle._engine.companions import Companion
    from lifecycle._engine.host import Host
    from lifecycle.report import Report
    from lifecycle.settings import Settings

T = TypeVar("T")
P = ParamSpec("P")

_KEEPER = 1
_WINDING_DOWN = frozenset({Phase.DRAINING, Phase.ROLLING_BACK})


class Engine:
    """One run of a plan."""

    body: Body | None = None
    is_settled = False
    """Whether every component has ended."""
    on_closed: Callable[[Report], object] | None = None
    """Told the report, when nothing but abandoned work is left."""
    report: Report | None = None
    fault: BaseException | None = None
    """A fault of the engine itself."""
    cancelled: BaseException | None = None
    """What its own task was cancelled with, which only asyncio can do."""
    _wait: anyio.CancelScope | None = None
    _pumping = False
    _has_started = False

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        companions: Sequence[Companion] = (),
        told: Sequence[events.Observer] = (),
    ) -> None:
        """Prepare a run on the loop that runs now; `run` is the run."""
        size = len(plan.components)
        self.plan = plan
        self.settings = settings
        self.machine = Machine(plan.components)
        self.loop = Loop()
        self.keeper = Keeper(self.loop)
        self.keeper.on_fault = self.give_up
        self.turns = Turns()
        self.account = Account(plan.components)
        self.component_errors = self.account.component_errors
        self.instruments = Instruments()
        self.pulse = Pulse(self.loop)
        self.gates = Gates(self)
        self.health = Health(self)
        self.in_flight = InFlight(self)
        self.values: list[Any] = [None] * size
        self.hosts: list[Host | None] = [None] * size
        self.system = System(self)
        self.companions = Companions(self, companions)
        self.preflight = Preflight(self, plan.checks)
        self.escalation = Escalation(self)
        self.shutdown = Shutdown(self)
        self.rotation = Rotation(self)
        self.starts = Starts(self)
        self.crashes = Crashes(self)
        self.drains = Drains(self)
        self.stops = Stops(self)

        self.draining = Flag(self.loop)
        """No new work is to be taken."""
        self.drained = Flag()
        """Nothing is left to drain: only the body, if anything, keeps it from being closed."""
        self.settled = anyio.Event()
        """Every component has ended."""
        self.started = anyio.Event()
        """The start is over, or given up."""
        self.closed = anyio.Event()
        """The report is complete."""
        self.ended = anyio.Event()
        """No task is left, but the caller's."""

        self._observers = tuple(told)
        self._limits: list[NodeLimits | None] = [None] * size
        self._began = self.loop.now()
        self._since = [self._began] * size
        self._queue: deque[commands.Command] = deque()
        self._context = contextvars.copy_context()
        self._shield = self.loop.new_scope(shield=True)
        self.tasks = Tasks(self._context, self.give_up)
        self._do = self._carried_out_by()

    def _carried_out_by(self) -> dict[type[Any], Callable[[Any], None]]:
        """Who carries out which command."""
        return {
            commands.Start: self.starts.start,
            commands.Skip: self.starts.skip,
            commands.Cancel: self.starts.cancel,
            commands.Drain: self.drains.drain,
            commands.HasDrained: self.drains.note_drained,
            commands.CutWork: self.drains.cut_work,
            commands.CutDrain: self.drains.cut_drain,
            commands.CutBody: self.drains.cut_body,
            commands.Stop: self.stops.stop,
            commands.Enter: self._enter,
            commands.CancelBody: self._cancel_body,
            commands.Settled: self._settle,
        }

    async def run(self) -> None:
        """From the first companion to the last; to be a task of its own.

        Where it runs already, nothing happens.
        """
        if self.is_running:
            return
        try:
            with self._shield:
                async with anyio.create_task_group() as group:
                    self.tasks.begin(group)
                    self.tasks.spawn(self._keep, "keeper")
                    try:
                        await self._run()
                        self._close()
                    finally:
                        self.keeper.end()  # nothing else does; what was abandoned needs none
            if self.fault is not None:  # it came after the report
                raise self.fault
            if self.cancelled is not None:
                raise self.cancelled
        finally:
            # Should any of this have failed, nobody is left waiting for it.
            self.started.set()
            self.drained.set()
            self.closed.set()
            self.pulse.end()
            self.ended.set()

    async def _run(self) -> None:
        self.companions.start()
        failures = await self._outlast(self.companions.failures)
        if not failures and self.shutdown.reason is None and self.cancelled is None:
            self.preflight.begin()
            failures = await self._outlast(self.preflight.failures)
        if self.cancelled is not None:
            self.shutdown.note_request("it was cancelled from outside", Trigger.CANCELLATION)
        for failure in failures:
            self.shutdown.failed(failure)
            self.account.start_failed(failure)
        if failures:
            self.apply(self.machine.preflight_failed)
        elif self.shutdown.reason is not None:
            # Asked for before anything was started, perhaps before the loop ran.
            self.keeper.do_posted()
            self.shutdown.request(self.shutdown.reason, delay=False)
        else:
            self.starts.begin()
            self.apply(self.machine.begin)
        await self._outlast(self.settled.wait)
        await self._outlast(self.health.over)
        self.companions.stop()
        await self._outlast(self.companions.over)

    async def _outlast(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Wait for something, whatever is cancelled meanwhile, unless we are at fault.

        asyncio's own cancellation pierces shields, and its teardown cancels every task. It is kept,
        and raised when all is over.
        """
        with self.loop.new_scope(shield=True) as self._wait:
            while self.fault is None:
                try:
                    return await wait()
                except anyio.get_cancelled_exc_class() as error:  # noqa: PERF203  that is the point
                    self.cancelled = error
                    self.tasks.begin_again()
        assert self.fault is not None  # noqa: S101  it was cancelled for that
        raise self.fault

    async def _keep(self) -> None:
        with self.loop.new_scope(shield=True):
            await self.keeper.run()

    def _close(self) -> None:
        self.apply(self.machine.closed)
        reason = self.shutdown.reason or ""
        duration = self.loop.now() - self._began
        self.report = self.account.report(self.machine.states, reason, duration)
        self.tell(
            events.Closed,
            duration=duration,
            outcome=self.report.outcome,
            exit_code=self.report.exit_code,
            trigger=self.shutdown.trigger,
            error=self.report.errors[0] if self.report.errors else None,
        )
        self.closed.set()
        self.pulse.end()
        if self.on_closed is not None:
            self.on_closed(self.report)

    def apply(
        self, fact: Callable[P, list[commands.Command]], *args: P.args, **kw: P.kwargs
    ) -> None:
        """Tell the machine a fact, and carry out what it says to that, in order."""
        pumping = self._pumping
        self._pumping = True
        try:
            self._queue.extend(fact(*args, **kw))
            while self._queue and not pumping:
                command = self._queue.popleft()
                self._do[type(command)](command)
            if not (pumping or self.drained.is_set) and self.machine.has_drained:
                self.drained.set()
        except BaseException as fault:  # noqa: BLE001  raised by `_run`
            self.give_up(fault)
        finally:
            self._pumping = pumping

    def give_up(self, fault: BaseException) -> None:
        """A fault of the engine itself: nobody may be left waiting for it."""
        self.fault = self.fault or fault
        self._queue.clear()
        self.started.set()
        self.settled.set()
        for host in self.hosts:
            if host is not None:
                host.let_go()
        self.keeper.end()  # it takes no notice of the cancellation
        if self._wait is not None:
            self._wait.cancel()
        self._shield.cancel()
        self.gates.let_go()

    def interrupted_at_the_end(self, interrupt: KeyboardInterrupt) -> None:
        """Who waits for the end was interrupted: what was left behind is cancelled once more."""
        self.shutdown.interrupted(interrupt, "the end of running", delay=False)
        if self.is_over:
            self._shield.cancel()

    def observe(self, observer: events.Observer) -> None:
        """Tell one more observer, from here on."""
        self._observers = (*self._observers, observer)

    def tell(self, event: Callable[..., events.Event], **fields: Any) -> None:
        """Tell the observers, if there are any, the log, and those who follow the status."""
        self.pulse.beat()
        if self._observers or observers.is_logged(event, fields):
            told = event(at=self.loop.now(), **fields)
            self.in_own_context(observers.tell, self._observers, told)

    def in_own_context(self, function: Callable[..., T], *args: Any) -> T:
        """Call something in a copy of the engine's own context.

        The caller may be a component's task, and what that set is no business of the others.
        """
        return self._context.copy().run(function, *args)

    @property
    def is_over(self) -> bool:
        """Whether the report is complete."""
        return self.report is not None

    @property
    def has_left_behind(self) -> bool:
        """Whether, at the end, something that was abandoned still goes on."""
        return bool(self.account.abandoned) and self.tasks.going_on > _KEEPER

    @property
    def is_broken(self) -> bool:
        """Whether the engine itself is at fault, and nothing will be carried out any more."""
        return self.fault is not None

    @property
    def has_started(self) -> bool:
        """Whether the start was done, whatever came after; from any thread."""
        # The phase is ahead of what is carried out: what is ready has started, for everybody.
        return self._has_started or self.machine.phase is Phase.RUNNING

    @property
    def is_running(self) -> bool:
        """Whether its task has begun, so that it can carry something out."""
        return self.tasks.have_begun

    def name(self, component: int) -> str:
        """The name of a component."""
        return self.plan.components[component].name

    def since(self, component: int) -> float:
        """For how many seconds a component has been in its state."""
        return max(0.0, self.loop.now() - self._since[component])

    def has_failed(self, component: int) -> bool:
        """Whether a component crashed, or failed to start."""
        return self.machine.states[component] is State.FAILED

    def limits_of(self, node: Node) -> NodeLimits:
        """How long the hooks of a component may take."""
        known = self._limits[node.index]
        if known is None:
            known = self._limits[node.index] = limits_of(node, self.settings)
        return known

    def _enter(self, command: commands.Enter) -> None:
        phase = command.phase
        self.tell(events.PhaseChanged, phase=phase)
        if phase is Phase.RUNNING:
            self._has_started = True
            if self.body is not None:
                self.body.begin()
            self.started.set()
            self.crashes.end_of_start()
        elif phase is Phase.DELAYING:
            self.keeper.at(
                (self.shutdown.asked_at or 0.0) + self.settings.drain_delay,
                lambda: self.apply(self.machine.shut_down, delay=False),
            )
        elif phase in _WINDING_DOWN:
            self.drains.begin()

    def _cancel_body(self, command: commands.CancelBody) -> None:
        del command
        if self.body is None or self.body.waits_for_the_end or self.body.is_kept:
            self.apply(self.machine.body_given_up)
            return
        self.body.cancel()
        self.keeper.at(
            self.loop.now() + self.settings.stop_timeout,
            lambda: self.apply(self.machine.body_given_up),
        )

    def _settle(self, command: commands.Settled) -> None:
        del command
        self.started.set()
        self.settled.set()
        self.is_settled = True
        self.pulse.beat()

    def mark(self, component: int) -> float:
        """Its state changes now; returns the time."""
        now = self._since[component] = self.loop.now()
        return now

    def index_of_name(self, name: str) -> int:
        """The index of a component by its full name."""
        return self._indices[name]

    def find_name(self, name: str) -> int | None:
        """The same; None where no component has that name."""
        return self._indices.get(name)

    @functools.cached_property
    def _indices(self) -> dict[str, int]:
        return {node.name: node.index for node in self.plan.components}
