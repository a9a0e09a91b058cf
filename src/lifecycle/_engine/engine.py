"""The engine: carries out what the machine decides, and tells it what came of it.

Everything here runs on the loop's thread and never waits, except for `run` and what it calls. The
machine's commands go through one queue, so that carrying one out may bring about the next without
recursion: a chain of 100 000 plain values is as good as any.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import math
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle import events
from lifecycle._core import budget, commands
from lifecycle._core.component import Kind
from lifecycle._core.machine import Machine
from lifecycle._engine import calling, observers
from lifecycle._engine.account import Account
from lifecycle._engine.companions import Companions
from lifecycle._engine.escalation import Escalation
from lifecycle._engine.flag import Flag
from lifecycle._engine.gates import Gates
from lifecycle._engine.host import Host, is_cancellation
from lifecycle._engine.in_flight import InFlight
from lifecycle._engine.loop import Keeper, Loop
from lifecycle._engine.preflight import run_checks
from lifecycle._engine.service import ServiceHost
from lifecycle._engine.system import System
from lifecycle._engine.threads import outlast
from lifecycle.errors import (
    CrashedError,
    DrainTimeoutError,
    RunError,
    StartError,
    StartTimeoutError,
    StopError,
    WorkCancelledError,
    seconds,
)
from lifecycle.report import Abandoned, Report, Work
from lifecycle.settings import Retry
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

    from lifecycle._core.component import Node
    from lifecycle._core.plan import Plan
    from lifecycle._engine.body import Body
    from lifecycle._engine.companions import Companion
    from lifecycle.errors import Hook
    from lifecycle.settings import Settings

_NO_RETRY = Retry(0)
_WINDING_DOWN = frozenset({Phase.DRAINING, Phase.ROLLING_BACK})


class Engine:
    """One run of a plan."""

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
        self.account = Account(plan.components)
        self.component_errors = self.account.component_errors
        self.gates = Gates(self)
        self.in_flight = InFlight(self)
        self.values: list[Any] = [None] * size
        self.hosts: list[Host | None] = [None] * size
        self.body: Body | None = None
        self.system = System(self)
        self.companions = Companions(self, companions)
        self.escalation = Escalation(self)

        self.reason: str | None = None
        """Why it shuts down; set by the first request or failure."""
        self.asked_at: float | None = None
        """When the grace period began, on the loop's clock."""
        self.enclosing_deadline = math.inf
        """A deadline around the body that is still to come when it ends by itself."""
        self.on_shutdown: Callable[[float], object] | None = None
        """Told how many seconds are left, once the grace period has begun."""
        self.on_closed: Callable[[Report], object] | None = None
        """Told the report, when nothing but abandoned work is left."""
        self.report: Report | None = None
        self.unavailable: dict[int, str] = {}

        self.draining = Flag()
        """No new work is to be taken."""
        self.settled = anyio.Event()
        """Every component has ended."""
        self.started = anyio.Event()
        """The start is over, or given up."""
        self.closed = anyio.Event()
        """The report is complete."""
        self.ended = anyio.Event()
        """No task is left, but the caller's."""

        self._observers = tuple(told)
        self._ran = False
        self._size = size
        self._began = self.loop.now()
        self._since = [self._began] * size
        self._queue: deque[commands.Command] = deque()
        self._pumping = False
        self._context = contextvars.copy_context()
        self._tasks: TaskGroup | None = None
        self._checks = anyio.CancelScope()
        self._budget: budget.Budget | None = None
        self._drain_began = 0.0
        self._drain_alarms: dict[int, Any] = {}
        self._drain_followers: list[int] = []
        self._stop_followers: list[int] = []
        self._main_ended: Callable[[], None] | None = None
        self._do: dict[type[Any], Callable[[Any], None]] = {
            commands.Start: self._start,
            commands.Skip: self._skip,
            commands.Cancel: self._cancel,
            commands.Drain: self._drain,
            commands.HasDrained: self._has_drained,
            commands.CutWork: self._cut_work,
            commands.CutDrain: self._cut_drain,
            commands.Stop: self._stop,
            commands.Enter: self._enter,
            commands.CancelBody: self._cancel_body,
            commands.Settled: self._settle,
        }

    # --- the run -------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the first companion to the last; to be a task of its own."""
        try:
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as self._tasks:
                    self._tasks.start_soon(self.keeper.run, name="lifecycle: keeper")
                    await self._run()
                    self._close()
                    # What is left now was abandoned; the group waits for it.
                    self._tasks.start_soon(self._end_keeper, name="lifecycle: the end")
        finally:
            # Should any of this have failed, nobody is left waiting for it.
            self.started.set()
            self.closed.set()
            self.ended.set()

    async def _run(self) -> None:
        failures = await self.companions.start()
        if not failures and self.reason is None:
            with self._checks:
                failures = await run_checks(self, self.plan.checks)
        for failure in failures:
            self.failed(str(failure))
            self.account.start_failed(failure)
        if failures:
            self.apply(self.machine.preflight_failed())
        elif self.machine.phase is Phase.PREFLIGHT:
            self._arm_startup_timeout()
            self.apply(self.machine.begin())
        with anyio.CancelScope(shield=True):
            await outlast(self.settled)
        await self.companions.stop()

    async def _end_keeper(self) -> None:
        """Let the keeper go once it is the only one left."""
        for host in self.hosts:
            if host is not None and not host.ended:
                await host.over.wait()
        await self.companions.over()
        self.keeper.end()

    def _close(self) -> None:
        self.apply(self.machine.closed())
        reason = self.reason or ""
        duration = self.loop.now() - self._began
        self.report = self.account.report(self.machine.states, reason, duration)
        self.tell(
            events.Closed,
            duration=duration,
            outcome=self.report.outcome,
            exit_code=self.report.exit_code,
            error=self.report.errors[0] if self.report.errors else None,
        )
        self.closed.set()
        if self.on_closed is not None:
            self.on_closed(self.report)

    def apply(self, new: Sequence[commands.Command]) -> None:
        """Carry out what the machine says, in order."""
        self._queue.extend(new)
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._queue:
                command = self._queue.popleft()
                self._do[type(command)](command)
        finally:
            self._pumping = False

    def tell(self, event: Callable[..., events.Event], **fields: Any) -> None:
        """Tell the observers, if any of them listens."""
        if self._observers or observers.logger.isEnabledFor(observers.LEAST_LEVEL):
            observers.tell(self._observers, event(at=self.loop.now(), **fields))

    # --- what others ask -----------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the report is complete."""
        return self.report is not None

    @property
    def is_ready(self) -> bool:
        """Whether new work should be sent here; from any thread."""
        return (
            self.reason is None
            and self.machine.phase is Phase.RUNNING
            and not any(not self.plan.components[c].optional for c in list(self.unavailable))
        )

    @property
    def is_running(self) -> bool:
        """Whether its task has begun, so that it can carry something out."""
        return self._tasks is not None

    @property
    def may_run_a_body(self) -> bool:
        """Whether the start is over and went well; a shutdown may have been asked for since."""
        return self._ran and not self.machine.closing

    def name(self, component: int) -> str:
        """The name of a component."""
        return self.plan.components[component].name

    def since(self, component: int) -> float:
        """For how many seconds a component has been in its state."""
        return max(0.0, self.loop.now() - self._since[component])

    def time_left(self) -> float | None:
        """What is left of the grace period."""
        if self.asked_at is None:
            return None
        return max(0.0, self.asked_at + self.settings.grace_period - self.loop.now())

    def is_troubled(self, component: int | None) -> bool:
        """Whether work that is cancelled now is lost because of us."""
        if self.reason is not None:
            return True
        return component is not None and self.machine.states[component] is State.FAILED

    def stop_timeout(self, node: Node) -> float:
        """How long the component's stop may take, in seconds."""
        return _first(
            self.settings.limits_of(node.handle, node.name).stop,
            node.stop_timeout,
            self.settings.stop_timeout,
        )

    def drain_timeout(self, node: Node) -> float:
        """How long the component's drain may take, in seconds."""
        own = self.settings.limits_of(node.handle, node.name).drain
        return _first(own, node.drain_timeout, self.settings.drain_timeout, math.inf)

    def start_timeout(self, node: Node) -> float:
        """How long the component's start may take, in seconds."""
        own = self.settings.limits_of(node.handle, node.name).start
        return _first(own, node.start_timeout, self.settings.start_timeout)

    @property
    def patience_ends(self) -> float:
        """When even what was cancelled is waited for no longer."""
        return math.inf if self._budget is None else self._budget.end

    @staticmethod
    def retry_of(node: Node) -> Retry:
        """How often, and after which pauses, its start is tried again."""
        return node.retry if node.retry is not None else _NO_RETRY

    def arguments(self, host: Host) -> tuple[list[Any], dict[str, Any]]:
        """What a component's function is called with."""
        node = host.node
        args: list[Any] = [host.lifetime] if node.takes_lifetime else []
        kwargs: dict[str, Any] = {}
        for parameter in node.parameters:
            if parameter.relation == "requires_all":
                value: Any = [self.values[c] for c in parameter.targets]
            elif parameter.relation == "requires":
                value = self.values[parameter.targets[0]]
            else:
                value = self._wanted(parameter.targets, parameter.default)
            if parameter.positional:
                args.append(value)
            else:
                kwargs[parameter.name] = value
        return args, kwargs

    def _wanted(self, targets: tuple[int, ...], default: object) -> Any:
        if targets and self.machine.is_alive(targets[0]):
            return self.values[targets[0]]
        return default

    # --- requests ------------------------------------------------------------------------------

    def note_request(self, reason: str, at: float | None = None) -> None:
        """Someone asks for a shutdown: readiness is off from here on, and the clock runs.

        May be called from any thread, and from a signal handler.
        """
        if self.reason is None:
            self.asked_at = self.loop.now() if at is None else at
            self.reason = reason

    def request(
        self, reason: str, *, delay: bool, exit_code: int = 0, at: float | None = None
    ) -> None:
        """Someone asks for a shutdown: carry it out. On the loop's thread."""
        if self.is_over:
            return
        self.note_request(reason, at)
        if exit_code and not self.account.verdict.asked_code:
            self.account.verdict.asked_code = exit_code
        self._checks.cancel()
        self._note_shutdown()
        self.apply(self.machine.shut_down(delay=delay and self.settings.drain_delay > 0))

    def failed(self, reason: str) -> None:
        """Something failed that ends the system."""
        self.note_request(reason)
        self._note_shutdown()

    def force(self, signal_number: int) -> None:
        """End at once: no drains, and stops under a short deadline."""
        if self.is_over or self.account.verdict.forced_by is not None:
            return
        self.account.verdict.forced_by = signal_number
        self.note_request("a second interrupt")
        self._checks.cancel()
        self._note_shutdown()
        self._share_out()
        end = min(self.patience_ends, self.loop.now() + budget.FORCED_STOP)
        self._budget = budget.Budget(end=end, stops_end=end, drains_end=self.loop.now())
        self.apply(self.machine.force())
        for host in self.hosts:
            if host is not None:
                host.limit_to(end)

    def interrupted(self, error: BaseException, who: str, *, delay: bool = True) -> None:
        """A SystemExit or KeyboardInterrupt was raised: it asks for a shutdown."""
        if isinstance(error, SystemExit):
            reason = f"{who} raised SystemExit({error.code!r})"
            self.request(reason, delay=delay, exit_code=_code(error))
        else:
            self.account.verdict.interrupted = True
            self.request(f"KeyboardInterrupt in {who}", delay=False)

    _told_of_shutdown = False

    def _note_shutdown(self) -> None:
        if not self._told_of_shutdown and self.reason is not None:
            self._told_of_shutdown = True
            self.tell(events.ShutdownRequested, reason=self.reason)
            if self.on_shutdown is not None:
                self.on_shutdown(self.time_left() or 0.0)

    # --- facts: the start ----------------------------------------------------------------------

    def has_started(self, host: Host, value: object) -> None:
        """A component is ready."""
        component = host.node.index
        duration = host.finish()
        self.values[component] = value
        self._now(component)
        self.account.times["start"][component] = duration
        self.tell(events.ComponentStarted, component=host.node.name, duration=duration)
        self.apply(self.machine.started(component))
        self.gates.open_or_give_up(component)

    def start_expired(self, host: Host, error: StartTimeoutError | None) -> None:
        """A component was not ready in time; its start is being cancelled."""
        error = error or StartTimeoutError(
            host.node.name, "", self.start_timeout(host.node), self._waited_for(host.node.index)
        )
        self._start_failed(host, error, unwinding=True)

    def start_ended(self, host: Host, error: BaseException | None) -> None:
        """A start hook has ended without the component being ready."""
        node = host.node
        duration = host.finish()
        if "start" in host.given_up:
            return
        self.account.times["start"].setdefault(node.index, duration)
        if host.expired or host.cancelled:
            if error is not None and not is_cancellation(error):
                self._failed_while_unwinding(host, error)
            self._now(node.index)
            self.apply(self.machine.unwound(node.index))
        elif isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.interrupted(error, f"the start of {node.name!r}")
            self._now(node.index)
            self.apply(self.machine.unwound(node.index))
        else:
            self._start_failed(host, _start_error(node, error), unwinding=False)

    def _failed_while_unwinding(self, host: Host, error: BaseException) -> None:
        failure = host.start_failure
        if failure is not None:
            failure.__cause__ = failure.__cause__ or error
        elif isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.interrupted(error, f"the start of {host.node.name!r}")
        else:
            unwinding = StopError(host.node.name, "start")
            unwinding.__cause__ = error
            self.account.incomplete(unwinding, host.node.index)

    def _start_failed(self, host: Host, error: RunError, *, unwinding: bool) -> None:
        component = host.node.index
        host.start_failure = error
        duration = self.loop.now() - host.began
        self._now(component)
        self.account.times["start"][component] = duration
        self.tell(
            events.ComponentStarted, component=host.node.name, duration=duration, error=error
        )
        if host.node.optional:
            self.account.of_component(error, component)
        elif self.machine.phase is Phase.STARTING:
            self.failed(str(error))
            self.account.start_failed(error, component)
        else:
            self.account.note(error, component)
        self.apply(self.machine.start_failed(component, unwinding=unwinding))
        self.gates.open_or_give_up(component)

    def retrying(self, node: Node, attempt: int, pause: float, error: BaseException) -> None:
        """An attempt to start failed, and another one follows."""
        self.tell(
            events.ComponentRetrying,
            component=node.name,
            attempt=attempt,
            delay=pause,
            error=error,
        )

    def _arm_startup_timeout(self) -> None:
        limit = self.settings.startup_timeout
        if limit is not None:
            self.keeper.at(self.loop.now() + limit, functools.partial(self._startup_expired, limit))

    def _startup_expired(self, limit: float) -> None:
        if self.machine.phase is not Phase.STARTING:
            return
        for host in self.hosts:
            if host is not None and host.hook == "start" and not host.node.optional:
                error = StartTimeoutError(
                    host.node.name, "", limit, self._waited_for(host.node.index), "startup_timeout"
                )
                host.expire_start(error)
                return
        self.request(f"the start was not over after {seconds(limit)}", delay=False)

    def _waited_for(self, component: int) -> tuple[tuple[str, str, float], ...]:
        return tuple(
            (self.name(c), str(self.machine.states[c]), self.since(c))
            for c in self.gates.awaited(component)
        )

    # --- facts: the run ------------------------------------------------------------------------

    def has_crashed(self, host: Host, cause: BaseException | None, reason: str = "") -> None:
        """A component ended by itself while it was to run."""
        node = host.node
        error = CrashedError(node.name, reason)
        error.__cause__ = cause
        host.crash = error
        was_running = self.reason is None
        self._now(node.index)
        self.tell(events.ComponentCrashed, component=node.name, error=error)
        if host.hook == "drain":
            host.finish()
        if node.optional:
            self.account.of_component(error, node.index)
        else:
            self.account.note(error, node.index)
            if was_running:
                self.account.verdict.crashed = True
                # The cause of a group's crash shows only when the component is stopped.
                self.failed(str(error))
            else:
                self.account.verdict.incomplete = True
        self.apply(self.machine.crashed(node.index))

    def service_ended(self, host: Host, error: BaseException | None, returned: object) -> None:
        """A service or main has ended before it was asked to."""
        node = host.node
        if error is None and node.kind is Kind.MAIN and (problem := _no_code(returned)) is not None:
            error = problem
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.interrupted(error, repr(node.name))
        elif error is not None:
            self.has_crashed(host, error)
        elif node.kind is Kind.MAIN:
            code = returned if isinstance(returned, int) else 0
            self._when_running(
                lambda: self.request(f"{node.name!r} has ended", delay=False, exit_code=code)
            )
        elif self.reason is None and node.on_return == "crash":
            self.has_crashed(host, None, "it returned, and was to run as long as the system")
        elif node.on_return == "shut_down":
            self._when_running(lambda: self.request(f"{node.name!r} has returned", delay=True))

    def _when_running(self, action: Callable[[], None]) -> None:
        if self.machine.phase in (Phase.PREFLIGHT, Phase.STARTING):
            self._main_ended = self._main_ended or action
        else:
            action()

    def set_unavailable(self, component: int, reason: str | None) -> None:
        """A component takes the service out of rotation, or back; from any thread."""
        if reason is None:
            changed = self.unavailable.pop(component, None) is not None
        else:
            changed = self.unavailable.get(component) != reason
            self.unavailable[component] = reason
        if changed:
            self.keeper.post(
                lambda: self.tell(
                    events.AvailabilityChanged, component=self.name(component), unavailable=reason
                )
            )

    def work_was_lost(self, work: Work) -> None:
        """Work was cancelled by something else, in the trouble that we are in."""
        self.account.cut.append(work)
        self.account.incomplete(WorkCancelledError(work.what, work.component))
        self.tell(events.WorkCancelled, component=work.component, what=(work.what,))

    # --- facts: the shutdown -------------------------------------------------------------------

    def has_drained(self, host: Host, error: BaseException | None) -> None:
        """A drain hook has ended."""
        node, deadline = host.node, host.deadline
        host.finish()
        if "drain" in host.given_up:
            return
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.interrupted(error, f"the drain of {node.name!r}")
        elif error is not None and not is_cancellation(error):
            self._hook_failed(host, "drain", error)
        self.apply(self.machine.drained(node.index))
        self._await_release(node.index, deadline)

    def drain_failed(self, host: Host, error: BaseException | None, limit: float) -> None:
        """A drain hook that was called within the stop failed, or was cut off after `limit`."""
        if error is None:
            timed_out = DrainTimeoutError(host.node.name, (), limit)
            self.account.incomplete(timed_out, host.node.index)
        else:
            self._hook_failed(host, "drain", error)

    def drain_expired(self, host: Host) -> None:
        """A component has used up its own time to drain."""
        self.apply(self.machine.drain_timed_out(host.node.index))

    def _await_release(self, component: int, deadline: float) -> None:
        """No hook is left to drain it, but what is in flight has time until then."""
        if self.machine.states[component] is State.DRAINING:
            self._drain_alarms[component] = self.keeper.at(
                deadline, lambda: self.apply(self.machine.drain_timed_out(component))
            )

    def has_stopped(self, host: Host, error: BaseException | None) -> None:
        """A stop hook has ended."""
        node = host.node
        duration = host.finish()
        if "stop" in host.given_up:
            return
        if host.crash is not None:
            if error is not None and not is_cancellation(error):
                host.crash.__cause__ = host.crash.__cause__ or _leaf(error)
        elif isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.interrupted(error, f"the stop of {node.name!r}")
        elif host.expired:
            late = StopError(node.name, "stop", duration)
            late.__cause__ = None if error is None or is_cancellation(error) else error
            self.account.incomplete(late, node.index)
        elif error is not None:
            self._hook_failed(host, "stop", error)
        self._stopped(node.index, duration)

    def _hook_failed(self, host: Host, hook: Hook, error: BaseException) -> None:
        if isinstance(error, WorkCancelledError):
            self.account.verdict.incomplete = True  # noted when the work was cut
            return
        failure = StopError(host.node.name, hook)
        failure.__cause__ = error
        self.account.incomplete(failure, host.node.index)

    def abandoned(self, host: Host, hook: Hook, stack: str) -> None:
        """A hook went on after its cancellation: go on without it."""
        node = host.node
        self.account.abandoned.append(Abandoned(node.name, hook, stack))
        self.tell(events.HookAbandoned, component=node.name, hook=hook, stack=stack)
        error = StopError(node.name, hook, self.loop.now() - host.began, abandoned=True)
        self.account.incomplete(error, node.index)
        if hook == "start":
            self._now(node.index)
            self.apply(self.machine.unwound(node.index))
        elif hook == "drain":
            self.apply(self.machine.drained(node.index))
        else:
            self._stopped(node.index, self.loop.now() - host.began)

    def _stopped(self, component: int, duration: float) -> None:
        self._now(component)
        self.account.times["stop"][component] = duration
        error = self.account.component_errors.get(component)
        self.tell(
            events.ComponentStopped,
            component=self.name(component),
            duration=duration,
            error=error if isinstance(error, StopError) and error.hook == "stop" else None,
        )
        self.apply(self.machine.stopped(component))

    # --- commands ------------------------------------------------------------------------------

    def _start(self, command: commands.Start) -> None:
        node = self.plan.components[command.component]
        self._now(node.index)
        self.tell(events.ComponentStarting, component=node.name)
        if node.kind is Kind.VALUE:
            self._has_value(node, node.value)
        elif node.kind is Kind.DERIVED:
            self._derive(node)
        else:
            is_service = node.kind in (Kind.SERVICE, Kind.MAIN)
            host = ServiceHost(self, node) if is_service else Host(self, node)
            self.hosts[node.index] = host
            host.begin("start", self.start_timeout(node), math.inf)
            self.spawn(host.run, node.name)

    def spawn(self, run: Callable[[], Awaitable[None]], name: str) -> None:
        """Start a task, in a copy of the engine's own context.

        The caller may be a component's task, and what that set is no business of the others.
        """
        assert self._tasks is not None  # noqa: S101  it runs
        start_soon = functools.partial(self._tasks.start_soon, run, name=f"lifecycle: {name}")
        self._context.copy().run(start_soon)

    def _has_value(self, node: Node, value: object) -> None:
        self.values[node.index] = value
        self.account.times["start"][node.index] = 0.0
        self._now(node.index)
        self.tell(events.ComponentStarted, component=node.name, duration=0.0)
        self.apply(self.machine.started(node.index))
        self.gates.open_or_give_up(node.index)

    def _derive(self, node: Node) -> None:
        assert node.function is not None  # noqa: S101  of every derived value
        try:
            value = node.function(self.values[node.requires[0]])
        except Exception as error:  # noqa: BLE001  a failed start
            host = Host(self, node)
            host.began = self.loop.now()
            self._start_failed(host, _start_error(node, error), unwinding=False)
        else:
            self._has_value(node, value)

    def _skip(self, command: commands.Skip) -> None:
        self._now(command.component)
        because_of = None if command.because_of is None else self.name(command.because_of)
        self.tell(
            events.ComponentSkipped, component=self.name(command.component), because_of=because_of
        )
        self.gates.open_or_give_up(command.component)

    def _cancel(self, command: commands.Cancel) -> None:
        self.gates.open_or_give_up(command.component)
        host = self.hosts[command.component]
        if host is not None:
            host.cancel_start()

    def _drain(self, command: commands.Drain) -> None:
        component = command.component
        node, host = self.plan.components[component], self.hosts[component]
        self._now(component)
        now = self.loop.now()
        self.account.times["drain"][component] = now
        self.tell(events.ComponentDraining, component=node.name)
        assert self._budget is not None  # noqa: S101  the shutdown has begun
        deadline = budget.hook_deadline(
            now,
            self.drain_timeout(node),
            self._budget.drains_end,
            self._drain_followers[component],
        )
        if host is not None:
            host.draining.set()
        if host is None or host.drains_at_once:
            self.apply(self.machine.drained(component))
            self._await_release(component, deadline)
        else:
            host.begin("drain", deadline - now, math.inf)
            host.order(command)

    def _has_drained(self, command: commands.HasDrained) -> None:
        component = command.component
        alarm = self._drain_alarms.pop(component, None)
        if alarm is not None:
            alarm.cancel()
        self._now(component)
        began = self.account.times["drain"][component]
        duration = self.account.times["drain"][component] = self.loop.now() - began
        self.tell(
            events.ComponentDrained, component=self.name(component), duration=duration, error=None
        )

    def _cut_work(self, command: commands.CutWork) -> None:
        self._cut_holds(command.component, of_system=command.component is None)

    def _cut_holds(self, component: int | None = None, *, of_system: bool) -> None:
        """Cancel work: of one component; of the system and its body; or, neither, of everyone."""
        everyone = self.machine.drain_is_over
        cut = self.in_flight.cut(lambda owner: everyone or owner == component)
        if of_system and self.body is not None and self.body.is_in_flight:
            cut.append(self.body.cut(self.loop.now()))
        if not cut:
            return
        self.account.cut.extend(cut)
        for name in dict.fromkeys(work.component for work in cut):
            what = tuple(work.what for work in cut if work.component == name)
            index = None if name is None else self.index_of_name(name)
            began = self._drain_began if index is None else self._drain_began_of(index)
            error = DrainTimeoutError(name, what, self.loop.now() - began)
            self.account.incomplete(error, index)
            self.tell(events.WorkCancelled, component=name, what=what)
        self.keeper.at(self.loop.now() + budget.UNWIND, self._write_off)

    def _write_off(self) -> None:
        """Wait no longer for what was cut and has not ended."""
        self.in_flight.write_off()
        if self.body is not None:
            self.body.write_off()

    def _cut_drain(self, command: commands.CutDrain) -> None:
        host = self.hosts[command.component]
        if host is None or host.cut or host.hook != "drain":
            return
        host.cut_drain()
        component = command.component
        known = self.account.component_errors.get(component)
        if not isinstance(known, DrainTimeoutError):
            time = self.loop.now() - self._drain_began_of(component)
            self.account.incomplete(DrainTimeoutError(host.node.name, (), time), component)

    def _drain_began_of(self, component: int) -> float:
        if self.machine.states[component] is State.DRAINING:
            return self.account.times["drain"][component]
        return self._drain_began

    def _stop(self, command: commands.Stop) -> None:
        component = command.component
        host = self.hosts[component]
        self._now(component)
        self.tell(events.ComponentStopping, component=self.name(component))
        if host is None or host.stops_at_once:
            self._stopped(component, 0.0)
            return
        if not self._stop_followers:
            has_stop = [h is not None and not h.ended for h in self.hosts]
            self._stop_followers = budget.followers(self.plan.components, has_stop)
        assert self._budget is not None  # noqa: S101  the shutdown has begun
        now, own = self.loop.now(), self.stop_timeout(host.node)
        limit = budget.hook_deadline(
            now, math.inf, self._budget.stops_end, self._stop_followers[component]
        )
        host.begin("stop", own, limit)
        if command.drain:
            host.draining.set()
        host.stopping.set()
        host.order(command)

    def _enter(self, command: commands.Enter) -> None:
        phase = command.phase
        self.tell(events.PhaseChanged, phase=phase)
        if phase is Phase.RUNNING:
            self._ran = True
            self.started.set()
            if self._main_ended is not None:
                self.keeper.post(self._main_ended)
        elif phase is Phase.DELAYING:
            self.keeper.at(
                (self.asked_at or 0.0) + self.settings.drain_delay,
                lambda: self.apply(self.machine.shut_down(delay=False)),
            )
        elif phase in _WINDING_DOWN:
            self._begin_drain()

    def _begin_drain(self) -> None:
        self.started.set()
        self._share_out()
        assert self._budget is not None  # noqa: S101  just made
        has_drain = [host is not None and not host.drains_at_once for host in self.hosts]
        self._drain_followers = budget.followers(self.plan.components, has_drain)
        self._drain_began = self.loop.now()
        self.draining.set()
        self.keeper.at(self._budget.drains_end, lambda: self.apply(self.machine.drain_over()))
        if self.settings.drain_timeout is not None:
            # What belongs to no component has the default of the components.
            self.keeper.at(
                self._drain_began + self.settings.drain_timeout,
                lambda: self._cut_holds(of_system=True),
            )

    def _share_out(self) -> None:
        if self._budget is not None:
            return
        now = self.loop.now()
        shared = budget.Budget.of(
            asked_at=now if self.asked_at is None else self.asked_at,
            grace_period=self.settings.grace_period,
            close_reserve=self.settings.effective_close_reserve,
            companions=self.companions.any,
        )
        self._budget = shared.ending_by(self.enclosing_deadline, now)

    @property
    def companions_end(self) -> float:
        """When the companions are to have ended."""
        now = self.loop.now()
        if self._budget is None:
            return now + 1.0
        return max(self._budget.end, now + 0.05)

    def _cancel_body(self, command: commands.CancelBody) -> None:
        del command
        if self.body is None or self.body.waits_for_the_end:
            self.apply(self.machine.body_ended())
            return
        self.body.cancel()
        self.keeper.at(
            self.loop.now() + self.settings.stop_timeout,
            lambda: self.apply(self.machine.body_ended()),
        )

    def _settle(self, command: commands.Settled) -> None:
        del command
        self.started.set()
        self.settled.set()

    def _now(self, component: int) -> None:
        self._since[component] = self.loop.now()

    def index_of_name(self, name: str) -> int:
        """The index of a component by its full name."""
        return self._indices[name]

    @functools.cached_property
    def _indices(self) -> dict[str, int]:
        return {node.name: node.index for node in self.plan.components}


def _first(*numbers: float | None) -> float:
    return next(number for number in numbers if number is not None)


def _leaf(error: BaseException) -> BaseException:
    """The user's exception in a group of one, however deep."""
    while len(parts := getattr(error, "exceptions", ())) == 1:
        error = parts[0]
    return error


def _start_error(node: Node, error: BaseException | None) -> StartError:
    if isinstance(error, StartError) and error.component == node.name:
        return error
    failure = StartError(node.name)
    failure.__cause__ = None if error is None else _leaf(error)
    return failure


def _code(error: SystemExit) -> int:
    """The exit code that Python would give a SystemExit."""
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) and 0 <= error.code <= _LAST_CODE else 1


def _no_code(returned: object) -> ValueError | None:
    """What is wrong with the exit code that a main returned."""
    if returned is None or (isinstance(returned, int) and 0 <= returned <= _LAST_CODE):
        return None
    if not isinstance(returned, int):
        return None  # whatever else it returns is no exit code
    return ValueError(f"a main returned {returned!r}, but an exit code is from 0 to {_LAST_CODE}")


_LAST_CODE = 255
