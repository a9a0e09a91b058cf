"""One run of a plan, as everyone else sees it."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, TypeVar, overload

from lifecycle._engine import instruments, observers, streams
from lifecycle._engine.gate import Gate
from lifecycle._engine.in_flight import holding
from lifecycle._engine.lifetime import current
from lifecycle._engine.pulse import Changes
from lifecycle.errors import ClosedError, DeadlockError, RunError, UnknownComponentError, leaf
from lifecycle.report import ComponentStatus, Report, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
    from contextlib import AbstractContextManager

    from lifecycle._core.component import Node
    from lifecycle._core.plan import Plan
    from lifecycle._engine.engine import Engine
    from lifecycle._engine.host import Host
    from lifecycle._engine.instruments import Instrument
    from lifecycle.component import Component
    from lifecycle.events import Observer
    from lifecycle.report import CheckResult
    from lifecycle.settings import Settings

T = TypeVar("T")
D = TypeVar("D")

_LAST_CODE = 255
_LARGE = 1000
"""From how many components on a snapshot takes long: each change would then cost a look at all."""
_PER_COMPONENT = 5e-5
"""How long who follows the changes then waits, in seconds for each component: about five times as
long as the snapshot takes. A chain of 3 000 took 31 s to start without, and 0.3 s with it."""


class System:
    """One run of a plan, from first start to last stop.

    What is not async may be called from any thread; what is async, awaited on the event loop of
    another, raises a RuntimeError.
    """

    def __init__(self, engine: Engine) -> None:
        """Made by :func:`lifecycle.running`."""
        self._engine = engine

    @property
    def name(self) -> str:
        """The name of the registry that it is a run of."""
        return self._engine.plan.name

    @property
    def plan(self) -> Plan:
        """What it is a run of."""
        return self._engine.plan

    @property
    def settings(self) -> Settings:
        """The numbers that it runs with."""
        return self._engine.settings

    # --- components ----------------------------------------------------------------------------

    # By `__getitem__` alone Python would ask for 0, 1, …
    __iter__ = None
    __contains__ = None

    def __getitem__(self, component: Component[T]) -> T:
        """The value of a component.

        Raises:
            NotReadyError: it is not ready yet.
            ClosedError: it has stopped, or will never be ready.
            RunError: it failed; its own error.
            UnknownComponentError: it is not part of this system.

        """
        value: T = self._engine.gates.check(self._index(component))
        return value

    async def ready(self, component: Component[T]) -> T:
        """Wait until a component is ready, and return its value.

        Raises:
            DeadlockError: the wait could never end: the component waits for the caller.
            ClosedError: it will never be ready, since the system shuts down.
            RunError: it failed; its own error.
            UnknownComponentError: it is not part of this system.

        """
        value: T = await self._engine.gates.wait(self._index(component))
        return value

    @overload
    def get(self, component: Component[T]) -> T | None: ...
    @overload
    def get(self, component: Component[T], default: D) -> T | D: ...
    def get(self, component: Component[T], default: Any = None) -> Any:
        """The value of a component, or a default where it is not there now. Never raises."""
        try:
            value: T = self[component]
        except (RunError, UnknownComponentError, TypeError):  # no handle is unhashable
            return default
        return value

    def gate(self, component: Component[T]) -> Gate[T]:
        """The gate of a component: to be asked, to wait at, to put before functions.

        Raises:
            UnknownComponentError: it is not part of this system.

        """
        return Gate(self._engine, self._index(component))

    def _index(self, component: Component[Any] | str) -> int:
        if isinstance(component, str):
            index = self._engine.find_name(component)
        else:
            index = self._engine.plan.index_of.get(component)
        if index is None:
            name = getattr(component, "name", str(component))
            hint = f"it is no part of this system{self._why_not(component)}."
            raise UnknownComponentError(name, "the caller", "asks for", (), hint)
        return index

    def _why_not(self, component: object) -> str:
        """What is known of why something is no part of it."""
        if component in self.plan.absent:
            return ": it is not enabled, or was left out by only() or without()"
        registry = getattr(component, "registry", None)
        if registry is None:
            return ""
        if registry == self.name:
            other = f"in another registry that is called {registry!r} too"
            return f": it was declared after the plan was made, or {other}"
        return f", a run of {self.name!r}: it belongs to the registry {registry!r}"

    # --- how it stands -------------------------------------------------------------------------

    def status(self) -> Status:
        """A snapshot: phase, components, work in flight."""
        engine = self._engine
        return Status(
            phase=engine.machine.phase,
            ready=engine.rotation.is_ready,
            reason=engine.shutdown.reason,
            components={node.name: self._status_of(node) for node in engine.plan.components},
            in_flight=engine.in_flight.now_held(),
            time_left=engine.shutdown.time_left(),
            outcome=engine.account.verdict.outcome if engine.is_settled else None,
            exit_code=engine.account.verdict.exit_code if engine.is_settled else None,
            started=engine.has_started,
            error=engine.shutdown.error,
        )

    def _status_of(self, node: Node) -> ComponentStatus:
        engine = self._engine
        error = engine.component_errors.get(node.index)
        return ComponentStatus(
            name=node.name,
            state=engine.machine.states[node.index],
            since=engine.since(node.index),
            optional=node.optional,
            error=None if error is None else type(leaf(error.__cause__ or error)).__name__,
            unavailable=engine.rotation.why_not(node.index),
            start_time=engine.account.times["start"].get(node.index),
            waits_for=engine.gates.waits_for(node.index),
            time_left=_time_left(engine.hosts[node.index]),
            requires=tuple(engine.name(other) for other in node.dependencies),
            checks=engine.health.last(node.index),
        )

    def changes(self) -> AsyncIterator[Status]:
        """Follow how it stands: a snapshot of now, then another whenever something has changed.

        That is its phase, whether it is ready, a component's state or availability, or what a
        check says; not work that comes and goes. Who is slow gets the newest. The last is that of
        the closed system.
        """
        size = len(self._engine.plan.components)
        pause = size * _PER_COMPONENT if size >= _LARGE else 0.0
        return Changes(self._engine.pulse, self.status, pause=pause)

    async def check(
        self, *components: Component[Any] | str, liveness: bool | None = None
    ) -> Mapping[str, tuple[CheckResult, ...]]:
        """Ask components whether they are in order, all at once; returns what they say, by name.

        Concurrent callers share one run of a check, and for ``Settings.check_ttl`` its answer.
        Each has ``Settings.check_timeout``; while one is stuck, no second run is started. Checks
        run only while the system does: before, and after, there is what they said last. So this
        never takes longer than the `check_timeout`.

        Args:
            *components: handles or full names; by default all.
            liveness: whether only those checks are asked that say whether the process can work at
                all, or only the others; None: all.

        Raises:
            UnknownComponentError: one of them is not part of this system.

        """
        indices = [self._index(component) for component in components]
        everyone = range(len(self._engine.plan.components))
        return await self._engine.health.ask(indices or everyone, liveness=liveness)

    @property
    def shutdown_reason(self) -> str | None:
        """Why it shuts down, from the first moment on; None before."""
        return self._engine.shutdown.reason

    @property
    def draining(self) -> bool:
        """Whether no new work is to be taken, and what runs is to come to its end."""
        return self._engine.draining.is_set

    async def wait_draining(self) -> None:
        """Return when no new work is to be taken."""
        await self._engine.draining.wait()

    def until_draining(self, source: AsyncIterable[T]) -> AsyncIterator[T]:
        """Iterate over a source until no new work is to be taken.

        It ends between two items: what is done with one is never interrupted.

        Each item is waited for in a cancel scope. So a generator that keeps one of its own, or a
        task group, open from one item to the next cannot be the source: have it send into a memory
        object stream, and iterate over that.
        """
        return streams.Until(self._engine.draining, source)

    # --- work ----------------------------------------------------------------------------------

    def hold(
        self,
        what: str,
        /,
        *,
        component: Component[Any] | None = None,
        on_cut: Callable[[], object] | None = None,
    ) -> AbstractContextManager[None, None]:
        """Mark a piece of work as in flight: the shutdown waits for it.

        Args:
            what: what it is, for reports.
            component: whose it is; by default the component in whose hook or task the caller runs,
                else the system's.
            on_cut: called, on the loop, when the time to drain is over, in place of a cancellation:
                for work that ends elsewhere than it began, in a callback, say, or that runs in a
                thread. Such a hold may be left in another task or thread than it was entered in;
                without it, a hold that was entered in a task must be left in that task.

        Raises:
            ClosedError: at the beginning of the ``with``: the drain is over, and no work is taken
                any more.
            WorkCancelledError: at the end of the ``with``, where the time to drain ran out first.
            UnknownComponentError: the component is not part of this system; from the call itself.

        """
        index = None
        if component is not None:
            index = self._index(component)
        else:
            lifetime = current.get()
            if lifetime is not None and lifetime.system is self:
                index = self._engine.index_of_name(lifetime.name)
        return self._engine.in_flight.hold(what, index, on_cut)

    # --- from beside it ------------------------------------------------------------------------

    def observe(self, observer: Observer) -> None:
        """Tell an observer every event from here on, the last one included.

        For companions, so that what watches a system is one thing for its user to name. What is to
        be told of the companions, too, is given to ``running`` or ``run``.

        Args:
            observer: what is told.

        Raises:
            TypeError: it cannot be called, or is async.

        """
        observers.refuse("observe()", observer)
        self._on_the_loop(functools.partial(self._engine.observe, observer))

    def instrument(self, instrument: Instrument) -> None:
        """Put an instrument around the hooks that are called from here on, nearest to them.

        For companions, likewise; ``lifecycle.instruments.instrumented`` does it from outside.

        Args:
            instrument: what is put around them. Whatever it does, a stop is called.

        Raises:
            TypeError: it is none.

        """
        instruments.refuse("instrument()", instrument)
        self._on_the_loop(functools.partial(self._engine.instruments.add, instrument))

    def _on_the_loop(self, do: Callable[[], object]) -> None:
        if self._engine.loop.on_its_thread():
            do()
        else:
            self._engine.keeper.post(do)

    # --- the end -------------------------------------------------------------------------------

    def shut_down(self, reason: str = "shut_down() was called", *, exit_code: int = 0) -> None:
        """Ask for a shutdown, and return at once.

        The first request decides the reason; readiness is off when this returns. Asking again, at
        any time, is no error.

        Args:
            reason: why, for people.
            exit_code: what :func:`lifecycle.run` ends the process with; the first one that is not 0
                counts.

        Raises:
            ValueError: the reason is no text, or the exit code is not from 0 to 255.

        """
        if not _is_text(reason):
            message = f"reason is {reason!r}, but must be a text"
            raise ValueError(message)
        if not _is_code(exit_code):
            message = f"exit_code is {exit_code!r}, but must be from 0 to {_LAST_CODE}"
            raise ValueError(message)
        engine = self._engine
        # A blocked loop carries nothing out, and the process ends with that code all the same.
        engine.shutdown.ask_for_code(exit_code)
        engine.shutdown.note_request(reason)
        request = functools.partial(engine.shutdown.request, reason, delay=True)
        if engine.loop.on_its_thread() and engine.is_running:
            request()
        else:
            engine.keeper.post(request)

    def signal(self, number: int, *, ago: float = 0.0) -> bool:
        """Do what a signal asks for, by the policy in ``Settings.signals``.

        For signal handlers (:mod:`lifecycle.signals` has them): it waits for nothing.

        Args:
            number: the signal.
            ago: how many seconds ago it came.

        Returns:
            Whether the process is to end at once: it was the third interrupt.

        """
        engine = self._engine
        return engine.escalation.signal(number, engine.loop.now() - ago)

    async def closed(self) -> Report:
        """Wait until everything has ended, and return the report.

        Raises:
            DeadlockError: a hook, a service, or work in flight asks, for which the end waits.
            ClosedError: it ended by a fault of lifecycle itself, which is the ``__cause__``.

        """
        engine = self._engine
        if engine.report is None:
            engine.loop.refuse_others()
            self._refuse_to_wait()
            body = engine.body
            if body is None or not body.is_in_this_task():
                await engine.closed.wait()
            else:
                body.wait_for_the_end()
                try:
                    await engine.closed.wait()
                finally:
                    body.go_on()
        if engine.report is None:
            fault = ClosedError(None, "there is no report, by a fault of lifecycle itself")
            raise fault from engine.fault
        return engine.report

    def _refuse_to_wait(self) -> None:
        lifetime, hold = current.get(), holding.get()
        if hold is not None:  # a task inherits it, and may outlive it
            hold = hold.still_in_flight(self._engine)
        if lifetime is not None and lifetime.system is self:
            who = lifetime.name
        elif hold is not None:
            who = hold.what
        else:
            return
        reason = (
            f"{who!r} waits for the system to be closed, and that waits for {who!r}: ask for it "
            "with `system.shut_down(…)`, and return"
        )
        raise DeadlockError((who, "closed()", who), reason)

    @property
    def report(self) -> Report | None:
        """The account of the run, once it is over."""
        return self._engine.report

    def __repr__(self) -> str:
        """Name the phase."""
        return f"<System {self._engine.machine.phase}>"


def _time_left(host: Host | None) -> float | None:
    left = math.inf if host is None else host.time_left
    return None if left == math.inf else left  # no hook runs


def _is_text(reason: object) -> bool:
    return isinstance(reason, str)


def _is_code(code: object) -> bool:
    return isinstance(code, int) and not isinstance(code, bool) and 0 <= code <= _LAST_CODE
