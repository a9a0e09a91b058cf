"""Stopping components, and leaving behind what cannot be stopped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lifecycle import events
from lifecycle._core import budget
from lifecycle._engine.cancellation import cause_in, exit_in
from lifecycle.errors import StopError
from lifecycle.report import Abandoned

if TYPE_CHECKING:
    from lifecycle._core import commands
    from lifecycle._engine.engine import Engine
    from lifecycle._engine.host import Host
    from lifecycle.errors import Hook


class Stops:
    """The stops of one system."""

    def __init__(self, engine: Engine) -> None:
        """Nothing stops."""
        self._engine = engine
        self._followers: list[int] = []

    def stop(self, command: commands.Stop) -> None:
        """Call a stop hook."""
        component = command.component
        host = self._engine.hosts[component]
        now = self._engine.mark(component)
        self._engine.tell(events.ComponentStopping, component=self._engine.name(component))
        if host is None or host.stops_at_once:
            self._stopped(component, 0.0)
            return
        if not self._followers:
            has_stop = [h is not None and not h.ended for h in self._engine.hosts]
            self._followers = budget.followers(self._engine.plan.components, has_stop)
        assert self._engine.shutdown.budget is not None  # noqa: S101  the shutdown has begun
        own = self._engine.limits_of(host.node).stop
        limit = budget.hook_deadline(
            now, math.inf, self._engine.shutdown.budget.stops_end, self._followers[component]
        )
        host.begin("stop", now, own, limit)
        if command.drain:
            host.draining.set()
        host.stopping.set()
        host.order(command)

    def following(self, component: int) -> int:
        """How many stops have still to follow that of a component, on its longest path."""
        return self._followers[component] if self._followers else 0

    def limit_to(self, end: float) -> None:
        """There is less time than there was: for the hooks that run, and for those after them."""
        now = self._engine.loop.now()
        for host in self._engine.hosts:
            if host is None:
                continue
            if host.hook == "stop":
                followers = self.following(host.node.index)
                host.limit_to(budget.hook_deadline(now, math.inf, end, followers))
            else:
                host.limit_to(end)

    def force(self) -> None:
        """No drains any more, not as a part of a stop, either."""
        for host in self._engine.hosts:
            if host is not None:
                host.force()

    def has_stopped(self, host: Host, error: BaseException | None) -> None:
        """A stop hook has ended."""
        node = host.node
        duration = host.finish()
        if "stop" in host.given_up:
            return
        asks = exit_in(error)
        if asks is not None:
            self._engine.shutdown.interrupted(asks, f"the stop of {node.name!r}")
        cause = cause_in(host.unwound_by if error is None else error)
        if host.crash is not None:
            host.crash.__cause__ = host.crash.__cause__ or cause
        if host.expired and host.has_stop:
            late = StopError(node.name, "stop", host.cancelled_after)
            late.__cause__ = cause if host.crash is None else None
            self._engine.account.incomplete(late, node.index)
        elif error is not None and host.crash is None and asks is None:
            self._engine.account.hook_failed(host.node, "stop", error)
        self._stopped(node.index, duration)

    def abandoned(self, host: Host, hook: Hook, stack: str) -> None:
        """A hook went on after its cancellation: go on without it."""
        node = host.node
        never_called = hook == "stop" and not host.stop_was_called
        after, index = host.cancelled_after, node.index
        self.left_behind(node.name, hook, stack, after, index, never_called=never_called)
        if hook == "start":
            if host.cancelled:
                self._engine.starts.given_up(node, self._engine.loop.now() - host.began)
            self._engine.mark(node.index)
            self._engine.apply(self._engine.machine.unwound, node.index)
        elif hook == "drain":
            self._engine.apply(self._engine.machine.drained, node.index)
        else:
            self._stopped(node.index, self._engine.loop.now() - host.began)

    def left_behind(  # noqa: PLR0913  what there is to say of it
        self,
        name: str,
        hook: Hook,
        stack: str,
        duration: float,
        component: int | None = None,
        *,
        never_called: bool = False,
    ) -> None:
        """Say that something went on after its cancellation: a hook of a component, or a check."""
        self._engine.account.abandoned.append(Abandoned(name, hook, stack))
        self._engine.tell(events.HookAbandoned, component=name, hook=hook, stack=stack)
        error = StopError(name, hook, duration, abandoned=True, never_called=never_called)
        self._engine.account.incomplete(error, component)

    def _stopped(self, component: int, duration: float) -> None:
        self._engine.mark(component)
        self._engine.account.times["stop"][component] = duration
        self._engine.tell(
            events.ComponentStopped,
            component=self._engine.name(component),
            duration=duration,
            error=self._engine.account.hook_errors.get((component, "stop")),
        )
        self._engine.apply(self._engine.machine.stopped, component)
