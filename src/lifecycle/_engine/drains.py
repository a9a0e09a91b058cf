"""Draining components, and cutting off what does not end in time."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from lifecycle import events
from lifecycle._core import budget
from lifecycle._engine.cancellation import exit_in
from lifecycle.errors import DrainTimeoutError, WorkCancelledError
from lifecycle.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._core import commands
    from lifecycle._engine.engine import Engine
    from lifecycle._engine.host import Host
    from lifecycle._engine.in_flight import Hold
    from lifecycle._engine.loop import Alarm
    from lifecycle.report import Work


class Drains:
    """The drains of one system."""

    def __init__(self, engine: Engine) -> None:
        """Nothing drains."""
        self._engine = engine
        self._began = 0.0
        self._deadlines: dict[int, float] = {}
        self._alarms: dict[int, Alarm] = {}
        self._followers: list[int] = []

    def drain(self, command: commands.Drain) -> None:
        """Call a drain hook, or begin to wait for what is in flight."""
        component = command.component
        node, host = self._engine.plan.components[component], self._engine.hosts[component]
        now = self._engine.mark(component)
        self._engine.account.times["drain"][component] = now
        self._engine.tell(events.ComponentDraining, component=node.name)
        if host is not None:
            host.draining.set()
        has_hook = host is not None and not host.drains_at_once
        if not has_hook:
            self._engine.apply(self._engine.machine.drained, component)
            if self._engine.machine.states[component] is not State.DRAINING:
                return
        assert self._engine.shutdown.budget is not None  # noqa: S101  the shutdown has begun
        limit = budget.hook_deadline(
            now, math.inf, self._engine.shutdown.budget.drains_end, self._followers[component]
        )
        own = self._engine.limits_of(node).drain
        own = math.inf if own is None else own
        deadline = self._deadlines[component] = min(now + own, limit)
        if host is None or not has_hook:
            self._await_release(component, deadline)
        else:
            host.begin("drain", now, own, limit)
            host.order(command)

    def has_drained(self, host: Host, error: BaseException | None) -> None:
        """A drain hook has ended."""
        node, deadline = host.node, host.deadline
        host.finish()
        if "drain" in host.given_up:
            return
        if error is not None:
            self._failed(host, error)
        self._engine.apply(self._engine.machine.drained, node.index)
        self._await_release(node.index, deadline)

    def drain_failed(self, host: Host, error: BaseException | None) -> None:
        """A drain hook that was called within the stop failed, or was cut off."""
        if error is None:
            time = self._engine.loop.now() - host.began
            self._engine.account.incomplete(
                self._cut_after(host.node.name, (), time), host.node.index
            )
        else:
            self._failed(host, error)

    def _failed(self, host: Host, error: BaseException) -> None:
        if (asks := exit_in(error)) is not None:
            self._engine.shutdown.interrupted(asks, f"the drain of {host.node.name!r}")
        else:
            self._engine.account.hook_failed(host.node, "drain", error)

    def drain_expired(self, host: Host) -> None:
        """A component has used up its own time to drain."""
        self._deadlines[host.node.index] = host.deadline
        self._drain_expired(host.node.index)

    def _drain_expired(self, component: int) -> None:
        self._engine.apply(self._engine.machine.drain_timed_out, component)

    def _await_release(self, component: int, deadline: float) -> None:
        """No hook is left to drain it, but what is in flight has time until then."""
        if self._engine.machine.states[component] is State.DRAINING:
            self._alarms[component] = self._engine.keeper.at(
                deadline, functools.partial(self._drain_expired, component)
            )

    def note_drained(self, command: commands.HasDrained) -> None:
        """Nothing of a component is in flight any more."""
        component = command.component
        alarm = self._alarms.pop(component, None)
        if alarm is not None:
            alarm.cancel()
        now = self._engine.mark(component)
        began = self._engine.account.times["drain"].get(component)
        if began is None:
            return  # it crashed, and was never asked
        duration = now - began
        self._engine.account.times["drain"][component] = duration
        name = self._engine.name(component)
        error = self._engine.account.hook_errors.get((component, "drain"))
        self._engine.tell(events.ComponentDrained, component=name, duration=duration, error=error)

    def cut_work(self, command: commands.CutWork) -> None:
        """Cancel what is in flight: of one component, or of everyone."""
        component, in_flight = command.component, self._engine.in_flight
        of_one = functools.partial(in_flight.of, component)
        work = in_flight.of_everyone if component is None else of_one
        self._cut(work)
        self._engine.keeper.at(
            self._engine.loop.now() + budget.UNWIND,
            functools.partial(self._write_off, component, work),
        )

    def _write_off(self, component: int | None, work: Callable[[], list[Hold]]) -> None:
        self._engine.in_flight.write_off(work())
        self._engine.apply(self._engine.machine.work_written_off, component)

    def _cut_work_of_system(self) -> None:
        """What belongs to no component has used up its time to drain: the body likewise."""
        if not self._engine.machine.accepts_work:
            return  # the time of all is over, and each is cut off with the others
        work = functools.partial(self._engine.in_flight.of, None)
        if self._cut(work):
            until = self._engine.loop.now() + budget.UNWIND
            self._engine.keeper.at(until, functools.partial(self._write_off_of_system, work))
        else:
            self._cut_body_in_flight()

    def _write_off_of_system(self, work: Callable[[], list[Hold]]) -> None:
        self._engine.in_flight.write_off(work())
        self._cut_body_in_flight()

    def _cut_body_in_flight(self) -> None:
        body = self._engine.body
        if body is not None and body.is_in_flight:
            self._cut_body()

    def _cut(self, work: Callable[[], list[Hold]]) -> bool:
        """Cancel work, and say so; returns whether there was any."""
        now = self._engine.loop.now()
        cut_of: dict[int | None, list[Work]] = {}
        for hold in self._engine.in_flight.cut(work()):
            cut_of.setdefault(hold.component, []).append(hold.as_work(now))
        for component, cut in cut_of.items():
            self._note_cut(component, cut)
        return bool(cut_of)

    def _note_cut(self, component: int | None, cut: list[Work]) -> None:
        self._engine.account.cut.extend(cut)
        what = tuple(work.what for work in cut)
        name = None if component is None else self._engine.name(component)
        began = self._began if component is None else self._began_of(component)
        error = self._cut_after(name, what, self._until(component) - began)
        self._engine.account.incomplete(error, component)
        self._engine.tell(events.WorkCancelled, component=name, what=what)

    def cut_body(self, command: commands.CutBody) -> None:
        """Cancel the body: it is like a drain hook."""
        del command
        self._cut_body()

    def _cut_body(self) -> None:
        body, now = self._engine.body, self._engine.loop.now()
        if body is not None and not body.was_cut and not body.is_kept:
            self._note_cut(None, [body.cut(now)])
            self._engine.keeper.at(now + budget.UNWIND, body.write_off)

    def cut_drain(self, command: commands.CutDrain) -> None:
        """Cancel a drain hook."""
        host = self._engine.hosts[command.component]
        if host is None or host.cut or host.hook != "drain":
            return
        host.cut_drain()
        component = command.component
        known = self._engine.account.hook_errors.get((component, "drain"))
        if not isinstance(known, DrainTimeoutError):
            time = self._until(component) - self._began_of(component)
            self._engine.account.incomplete(self._cut_after(host.node.name, (), time), component)

    def _cut_after(
        self, name: str | None, what: tuple[str, ...], seconds: float
    ) -> DrainTimeoutError:
        return DrainTimeoutError(name, what, seconds, self._engine.shutdown.is_forced)

    def _until(self, component: int | None) -> float:
        """When the time to drain was over: at the limit, not when that was noticed."""
        assert self._engine.shutdown.budget is not None  # noqa: S101  the drain has begun
        whole = self._engine.shutdown.budget.drains_end
        host = None if component is None else self._engine.hosts[component]
        if host is not None and host.hook == "drain":
            return min(self._engine.loop.now(), host.deadline)
        limit = whole if component is None else self._deadlines.get(component, whole)
        if component is None and self._engine.settings.drain_timeout is not None:
            limit = min(limit, self._began + self._engine.settings.drain_timeout)
        return max(self._began, min(self._engine.loop.now(), limit))

    def _began_of(self, component: int) -> float:
        if self._engine.machine.states[component] is State.DRAINING:
            return self._engine.account.times["drain"][component]
        return self._began

    def begin(self) -> None:
        """The drain of the system begins."""
        self._engine.started.set()
        self._engine.shutdown.share_out()
        assert self._engine.shutdown.budget is not None  # noqa: S101  just made
        has_drain = [host is not None and not host.drains_at_once for host in self._engine.hosts]
        self._followers = budget.followers(self._engine.plan.components, has_drain)
        self._began = self._engine.loop.now()
        self._engine.draining.set()
        self.hurry()
        if self._engine.settings.drain_timeout is not None:
            # What belongs to no component has the default of the components.
            self._engine.keeper.at(
                self._began + self._engine.settings.drain_timeout,
                self._cut_work_of_system,
            )

    def hurry(self) -> None:
        """All of it is to be over at the time that is now known for that."""
        assert self._engine.shutdown.budget is not None  # noqa: S101  the drain has begun
        self._engine.keeper.at(self._engine.shutdown.budget.drains_end, self._drain_is_over)

    def _drain_is_over(self) -> None:
        self._engine.apply(self._engine.machine.drain_over)

    def work_was_lost(self, work: Work, reason: str) -> None:
        """Work was cancelled by something else, in the trouble that we are in."""
        self._engine.account.cut.append(work)
        self._engine.account.incomplete(WorkCancelledError(work.what, work.component, reason))
        self._engine.tell(events.WorkCancelled, component=work.component, what=(work.what,))
