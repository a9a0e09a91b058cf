"""Starting components: carrying out what the machine says, and telling it what came of it."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from lifecycle import events
from lifecycle._core.component import Kind
from lifecycle._engine import groups
from lifecycle._engine.cancellation import exit_in, is_of_the_end, knows_of_the_end
from lifecycle._engine.gates import OPEN
from lifecycle._engine.host import Host
from lifecycle._engine.service import ServiceHost
from lifecycle.errors import (
    ClosedError,
    InvalidComponentError,
    RunError,
    StartError,
    StartTimeoutError,
    StopError,
    leaf,
    one_line,
)
from lifecycle.states import Phase

if TYPE_CHECKING:
    from lifecycle._core import commands
    from lifecycle._core.component import Node
    from lifecycle._engine.engine import Engine


class Starts:
    """The starts of one system."""

    def __init__(self, engine: Engine) -> None:
        """Nothing has started."""
        self._engine = engine
        self._all_end = math.inf

    def start(self, command: commands.Start) -> None:
        """Start a component."""
        node = self._engine.plan.components[command.component]
        now = self._engine.mark(node.index)
        if self._engine.machine.phase is not Phase.STARTING:
            # The start was given up before this was carried out: by a derived value that failed.
            self._engine.tell(events.ComponentSkipped, component=node.name, because_of=None)
            self._engine.apply(self._engine.machine.unwound, node.index)
            return
        self._engine.tell(events.ComponentStarting, component=node.name)
        if node.kind is Kind.VALUE:
            self._has_value(node, node.value)
        elif node.kind is Kind.DERIVED:
            self._derive(node)
        else:
            is_service = node.kind in (Kind.SERVICE, Kind.MAIN)
            host = ServiceHost(self._engine, node) if is_service else Host(self._engine, node)
            self._engine.hosts[node.index] = host
            host.begin("start", now, self._engine.limits_of(node).start, self._all_end)
            spawn = functools.partial(self._engine.tasks.spawn, host.run, node.name)
            self._engine.turns.give(spawn)

    def has_started(self, host: Host, value: object) -> None:
        """A component is ready."""
        component = host.node.index
        duration = host.finish()
        # What it asked for in a thread came before its end: trio may take the two in any order.
        self._engine.keeper.do_posted()
        self._engine.values[component] = value
        self._engine.mark(component)
        self._engine.account.times["start"][component] = duration
        self._engine.tell(events.ComponentStarted, component=host.node.name, duration=duration)
        self._engine.apply(self._engine.machine.started, component)
        self._engine.gates.open_or_give_up(component)

    def start_expired(self, host: Host) -> None:
        """A component was not ready in time; its start is being cancelled."""
        waited_for = self._waited_for(host.node.index)
        own, whole = host.allowed, self._engine.settings.startup_timeout
        last, reason = host.failed_attempt, ""
        if last is not None:
            number = host.failed_attempts
            reason = f"it is still starting, and attempt {number} failed ({one_line(last)})"
        elif host.node.kind is Kind.SERVICE and not waited_for:
            reason = "it is still starting, and has not called `started()` on its Lifetime"
        if host.deadline >= self._all_end and whole is not None:
            limit = "startup_timeout"
            error = StartTimeoutError(host.node.name, reason, whole, waited_for, limit)
        else:
            error = StartTimeoutError(host.node.name, reason, own, waited_for)
        error.__cause__ = last
        self._start_failed(host, error, unwinding=True)

    def start_ended(self, host: Host, error: BaseException | None) -> None:
        """A start hook has ended without the component being ready."""
        node = host.node
        duration = host.finish()
        if "start" in host.given_up:
            return
        self._engine.account.times["start"].setdefault(node.index, duration)
        if host.expired or host.cancelled:
            failure = None
            if error is not None and not is_of_the_end(error):
                failure = self._failed_while_unwinding(host, error)
            if host.cancelled:
                self.given_up(node, duration, failure)
            self._engine.mark(node.index)
            self._engine.apply(self._engine.machine.unwound, node.index)
        elif (asks := exit_in(error)) is not None:
            self._engine.shutdown.interrupted(asks, f"the start of {node.name!r}")
            self.given_up(node, duration)
            self._engine.mark(node.index)
            self._engine.apply(self._engine.machine.unwound, node.index)
        else:
            self._start_failed(host, _start_error(node, error), unwinding=False)

    def given_up(self, node: Node, duration: float, failure: RunError | None = None) -> None:
        """A start has ended because the whole start was given up: that is no failure of its own.

        Args:
            node: whose.
            duration: how long it took, in seconds.
            failure: where it had failed by itself, all the same.

        """
        if not isinstance(failure, StartError):
            failure = ClosedError(node.name, self._engine.shutdown.reason or "")
        self._engine.tell(
            events.ComponentStarted, component=node.name, duration=duration, error=failure
        )

    def _failed_while_unwinding(self, host: Host, error: BaseException) -> RunError | None:
        failure: RunError | None = host.start_failure
        if (asks := exit_in(error)) is not None:
            self._engine.shutdown.interrupted(asks, f"the start of {host.node.name!r}")
        if failure is not None:
            failure.__cause__ = failure.__cause__ or error
        elif asks is None:
            if knows_of_the_end(error):
                failure = StopError(host.node.name, "start")
                failure.__cause__ = error
            else:  # it failed in the same moment, or in its thread, which no cancellation reaches
                failure = _start_error(host.node, error)
            if host.node.optional:
                self._engine.account.of_component(failure, host.node.index)
            else:
                self._engine.account.incomplete(failure, host.node.index)
        return failure

    def _start_failed(self, host: Host, error: RunError, *, unwinding: bool) -> None:
        component = host.node.index
        host.start_failure = error
        duration = self._engine.loop.now() - host.began
        self._engine.mark(component)
        self._engine.account.times["start"][component] = duration
        self._engine.tell(
            events.ComponentStarted, component=host.node.name, duration=duration, error=error
        )
        if host.node.optional:
            self._engine.account.of_component(error, component)
        elif self._engine.machine.phase is Phase.STARTING:
            self._engine.shutdown.failed(error)
            self._engine.account.start_failed(error, component)
        else:
            self._engine.account.note(error, component)
        self._engine.apply(self._engine.machine.start_failed, component, unwinding=unwinding)
        self._engine.gates.open_or_give_up(component)

    def retrying(self, host: Host, attempt: int, pause: float, error: BaseException) -> None:
        """An attempt to start failed, and another one follows."""
        host.failed_attempt, host.failed_attempts = error, attempt
        self._engine.tell(
            events.ComponentRetrying,
            component=host.node.name,
            attempt=attempt,
            delay=pause,
            error=error,
        )

    def begin(self) -> None:
        """Let the time of the whole start run."""
        limit = self._engine.settings.startup_timeout
        if limit is not None:
            self._all_end = self._engine.loop.now() + limit

    def _waited_for(self, component: int) -> tuple[tuple[str, str, float], ...]:
        return tuple(
            (self._engine.name(c), str(self._engine.machine.states[c]), self._engine.since(c))
            for c in self._engine.gates.awaited(component)
        )

    def _has_value(self, node: Node, value: object) -> None:
        self._engine.values[node.index] = value
        self._engine.account.times["start"][node.index] = 0.0
        self._engine.mark(node.index)
        self._engine.tell(events.ComponentStarted, component=node.name, duration=0.0)
        self._engine.apply(self._engine.machine.started, node.index)
        self._engine.gates.open_or_give_up(node.index)

    def _derive(self, node: Node) -> None:
        assert node.function is not None  # noqa: S101  of every derived value
        source = self._engine.values[node.requires[0]]
        try:
            value = self._engine.in_own_context(node.function, source)
        except (SystemExit, KeyboardInterrupt) as error:
            self._engine.shutdown.interrupted(error, f"the start of {node.name!r}")
            self.given_up(node, 0.0)
            self._engine.apply(self._engine.machine.unwound, node.index)
        except BaseException as error:  # noqa: BLE001  a failed start
            host = Host(self._engine, node)
            host.began = self._engine.loop.now()
            self._start_failed(host, _start_error(node, error), unwinding=False)
        else:
            self._has_value(node, value)

    def skip(self, command: commands.Skip) -> None:
        """It will not be started."""
        self._engine.mark(command.component)
        because_of = None if command.because_of is None else self._engine.name(command.because_of)
        self._engine.tell(
            events.ComponentSkipped,
            component=self._engine.name(command.component),
            because_of=because_of,
        )
        self._engine.gates.open_or_give_up(command.component)

    def cancel(self, command: commands.Cancel) -> None:
        """The whole start is given up."""
        self._engine.gates.open_or_give_up(command.component)
        host = self._engine.hosts[command.component]
        if host is not None:
            host.cancel_start()

    def arguments(self, host: Host) -> tuple[list[Any], dict[str, Any]]:
        """What a component's function is called with."""
        node = host.node
        args: list[Any] = [host.lifetime] if node.takes_lifetime else []
        kwargs: dict[str, Any] = {}
        for parameter in node.parameters:
            if parameter.relation == "requires_all":
                value: Any = tuple(self._engine.values[c] for c in parameter.targets)
            elif parameter.relation == "requires":
                value = self._engine.values[parameter.targets[0]]
            else:
                value = self._wanted(parameter.targets, parameter.default)
            if parameter.positional:
                args.append(value)
            else:
                kwargs[parameter.name] = value
        return args, kwargs

    def _wanted(self, targets: tuple[int, ...], default: object) -> Any:
        if targets and self._engine.machine.states[targets[0]] in OPEN:
            return self._engine.values[targets[0]]
        return default


def _start_error(node: Node, error: BaseException | None) -> StartError:
    if isinstance(error, StartError) and error.component == node.name:
        return error
    failure = StartError(node.name)
    failure.__cause__ = None if error is None else _left_open(node, leaf(error))
    return failure


def _left_open(node: Node, error: BaseException) -> BaseException:
    """What is to be told where our own scopes cannot be left, since one in them is still open."""
    behind: BaseException | None = error
    while isinstance(behind, RuntimeError):
        behind = behind.__context__
    if isinstance(behind, InvalidComponentError) and behind.component == node.name:
        return behind if behind.reason == groups.LEFT_OPEN else error
    return error
