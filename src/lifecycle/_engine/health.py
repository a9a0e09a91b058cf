"""Asking components whether they are in order, on behalf of whoever probes the system.

A check belongs to a component that is ready, in a system that runs; at all other times the answer
is what it last said. Concurrent askers share one run of it. Its answer comes at the check's timeout
at the latest, however long the run goes on, and while it goes on there is no second one.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle import events
from lifecycle._core import calls
from lifecycle._core.budget import UNWIND
from lifecycle._core.component import Check
from lifecycle._engine import calling, stacks
from lifecycle._engine.flag import Flag
from lifecycle._engine.gates import OPEN
from lifecycle._engine.instruments import HookCall
from lifecycle._engine.threads import Thread
from lifecycle.errors import leaf, one_line
from lifecycle.naming import named_in
from lifecycle.report import CheckResult
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle._core.component import Node
    from lifecycle._engine.engine import Engine
    from lifecycle._engine.loop import Alarm

TIMEOUT = "timeout"
RETURNED_FALSE = "returned False"
_NAMELESS = frozenset({"_", "<lambda>"})


class Health:
    """All checks of one system."""

    def __init__(self, engine: Engine) -> None:
        """Nobody has asked."""
        self._engine = engine
        self._inquiries: dict[int, list[Inquiry]] = {}
        """Those of each component; made when it is first asked, and only for those that have
        any."""
        self._has_ended = False

    async def ask(
        self, components: Iterable[int], *, liveness: bool | None
    ) -> dict[str, tuple[CheckResult, ...]]:
        """Ask the checks of some components, all at once; returns what they say, by name.

        Args:
            components: which.
            liveness: whether only those that concern the life of the process are asked, or only
                the others; None: all.

        """
        asked: dict[str, list[Inquiry]] = {}
        for component in components:
            inquiries = [
                inquiry
                for inquiry in self._of(component)
                if liveness is None or inquiry.liveness is liveness
            ]
            if inquiries:
                asked[self._engine.name(component)] = inquiries
        if asked:
            self._engine.loop.refuse_others()
        answered = [inquiry.ask() for inquiries in asked.values() for inquiry in inquiries]
        for one in answered:
            await one.wait()
        return {name: _results(inquiries) for name, inquiries in asked.items()}

    def last(self, component: int) -> tuple[CheckResult, ...]:
        """What the checks of a component said last; from any thread."""
        return _results(self._inquiries.get(component, ()))

    def end(self) -> None:
        """The system shuts down: no check goes on."""
        self._has_ended = True
        for inquiries in self._inquiries.values():
            for inquiry in inquiries:
                inquiry.end()

    async def over(self) -> None:
        """Return when all have ended, or were abandoned; after `end`."""
        for inquiries in self._inquiries.values():
            for inquiry in inquiries:
                await inquiry.over.wait()

    def _of(self, component: int) -> list[Inquiry]:
        known = self._inquiries.get(component)
        if known is not None:
            return known
        if self._engine.machine.states[component] not in OPEN:
            return []  # what an object brings is not known before it is ready
        node, host = self._engine.plan.components[component], self._engine.hosts[component]
        checks = list(node.hooks.checks)
        if host is not None and host.own_check is not None:
            checks.append(Check(host.own_check, takes_value=False))
        if not checks:
            return []
        made = [Inquiry(self._engine, node, check, _name(check)) for check in checks]
        self._inquiries[component] = made
        if self._has_ended:
            for inquiry in made:
                inquiry.end()  # who asks for the first time now keeps the end from nobody
        return made


class Inquiry:
    """One check of one component, and what it said last."""

    def __init__(self, engine: Engine, node: Node, check: Check, name: str) -> None:
        """It was not asked yet."""
        self.liveness = check.liveness
        self._answered = anyio.Event()
        """Whoever asks waits for the one of now: the next run has one of its own."""
        self._engine = engine
        self._node = node
        self._check = check
        self._name = name
        self._runs = False
        self._began = 0.0
        self._cancelled_after = 0.0
        self._last: CheckResult | None = None
        self._at = 0.0
        self._scope = anyio.CancelScope()
        self._alarm: Alarm | None = None
        self._thread: Thread | None = None
        self._awaiting: Any = None
        self.over = Flag()
        """Its last run has ended, or was abandoned; to be awaited after the end."""

    def ask(self) -> anyio.Event:
        """Ask it, unless it is being asked, was asked just now, or is not to be asked.

        Returns:
            What is set when the answer is there.

        """
        if self._runs:
            return self._answered  # where it is stuck, that was said
        engine = self._engine
        fresh = self._last is not None and (
            engine.loop.now() - self._at < engine.settings.check_ttl
        )
        if fresh or not self._may_be_asked():
            self._answered.set()
            return self._answered
        self._runs = True
        self._began = engine.loop.now()
        self._answered = anyio.Event()
        self.over = Flag()
        self._scope = anyio.CancelScope()
        self._alarm = engine.keeper.at(self._began + engine.settings.check_timeout, self._expire)
        host = engine.hosts[self._node.index]
        context = None if host is None else host.context
        engine.tasks.spawn(self._run, f"check {self._node.name}", context)
        return self._answered

    def result(self) -> CheckResult | None:
        """What it said last; of one that is stuck, for how long it has been."""
        last, now = self._last, self._engine.loop.now()
        if last is None:
            return None
        stuck = self._runs and last.error == TIMEOUT
        return CheckResult(
            component=last.component,
            name=last.name,
            ok=last.ok,
            liveness=last.liveness,
            error=last.error,
            message=last.message,
            duration=max(0.0, now - self._began) if stuck else last.duration,
            age=max(0.0, now - self._at),
        )

    def end(self) -> None:
        """Let it come to its end: nobody will ask any more."""
        if not self._runs:
            self.over.set()
        else:
            self._cancel()
            self._answered.set()
            self._alarm = self._engine.keeper.at(self._engine.loop.now() + UNWIND, self._abandon)

    def _may_be_asked(self) -> bool:
        engine = self._engine
        return (
            engine.machine.phase is Phase.RUNNING
            and engine.shutdown.reason is None
            and engine.machine.states[self._node.index] is State.READY
        )

    async def _run(self) -> None:
        error: BaseException | None = None
        answer: object = None
        try:
            with self._scope:
                self._awaiting = self._call()
                answer = await self._awaiting
        except (SystemExit, KeyboardInterrupt) as interrupt:
            error = interrupt
            self._engine.shutdown.interrupted(interrupt, f"a check of {self._node.name!r}")
        except BaseException as raised:  # noqa: BLE001  whatever it raises, it does not pass
            error = raised
        self._runs = False
        if self._thread is not None:
            self._thread.end()
            self._thread = None
        if self._alarm is not None:
            self._alarm.cancel()
        if self._scope.cancel_called:
            pass  # its answer was given when its time was over
        elif error is not None:
            self._say(type(leaf(error)).__name__, one_line(leaf(error)))
        else:
            self._say(RETURNED_FALSE if answer is False else None, None)
        self._answered.set()
        self.over.set()

    async def _call(self) -> Any:
        engine, check = self._engine, self._check
        args = (engine.values[self._node.index],) if check.takes_value else ()
        in_thread = self._in_thread()
        proceed = functools.partial(calling.call, in_thread, check.function, *args)
        if not engine.instruments:
            return await proceed()
        sync = not calls.belongs_on_loop(check.function)
        call = HookCall(
            engine.system, self._node.name, "check", in_thread=in_thread if sync else None
        )
        return await engine.instruments.around(call, proceed)

    def _in_thread(self) -> calling.InThread | None:
        """The component's own thread; where that has nothing to do any more, one for the check."""
        if not self._node.thread:
            return None
        host = self._engine.hosts[self._node.index]
        if host is not None and not host.ended:
            return host.caller.in_thread()
        self._thread = Thread(self._node.name, self._engine.loop, self._engine.instruments)
        return self._thread.call

    def _expire(self) -> None:
        self._say(TIMEOUT, f"no answer after {self._engine.settings.check_timeout:g} s")
        self._cancel()
        self._answered.set()

    def _cancel(self) -> None:
        if not self._scope.cancel_called:
            self._scope.cancel()
            self._cancelled_after = self._engine.loop.now() - self._began
        if self._alarm is not None:
            self._alarm.cancel()

    def _abandon(self) -> None:
        """It was cancelled, and goes on: that is said, and nobody waits for it."""
        self.over.set()
        stack = stacks.of(self._awaiting)
        self._engine.stops.left_behind(
            self._node.name, "check", stack, self._cancelled_after, self._node.index
        )

    def _say(self, error: str | None, message: str | None) -> None:
        before, now = self._last, self._engine.loop.now()
        self._at = now
        self._last = CheckResult(
            component=self._node.name,
            name=self._name,
            ok=error is None,
            liveness=self.liveness,
            error=error,
            message=message,
            duration=now - self._began,
        )
        if (before is None or before.ok) != self._last.ok:
            self._engine.tell(
                events.HealthChanged,
                component=self._node.name,
                check=self._name,
                liveness=self.liveness,
                failure=error,
            )
        elif before is None:
            self._engine.pulse.beat()


def _results(inquiries: Iterable[Inquiry]) -> tuple[CheckResult, ...]:
    results = [inquiry.result() for inquiry in inquiries]
    return tuple(result for result in results if result is not None)


def _name(check: Check) -> str:
    name = getattr(named_in(check.function), "__name__", None)
    return name if isinstance(name, str) and name not in _NAMELESS else "check"
