"""The readiness barrier before each component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from lifecycle._engine.lifetime import current
from lifecycle.errors import (
    ClosedError,
    DeadlockError,
    DrainTimeoutError,
    NotReadyError,
    RunError,
    StopError,
)
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._engine.engine import Engine
    from lifecycle._engine.host import Host

OPEN = frozenset({State.READY, State.DRAINING, State.DRAINED})
_AHEAD = frozenset({State.PENDING, State.STARTING})
_OF_ITS_END = (DrainTimeoutError, StopError)
"""What goes wrong with a component that was ready: it has stopped, and not failed."""
_STARTING = frozenset({Phase.PREFLIGHT, Phase.STARTING})


class Gates:
    """All gates of one system."""

    def __init__(self, engine: Engine) -> None:
        """All are closed."""
        self._engine = engine
        self._events: dict[int, anyio.Event] = {}
        self._waits: dict[int, int] = {}
        """Which starting component waits at which other one's gate, in its own task."""
        self.before_all: dict[object, str] = {}
        """The tasks before whose end no component starts, by the names of what runs in them: what a
        companion does as it starts, and the preflight checks."""
        self._told: dict[int, list[Callable[[], object]]] = {}
        """What is called when it is decided whether a component becomes ready."""

    def is_open(self, component: int) -> bool:
        """Whether a component can be called."""
        return self._engine.machine.states[component] in OPEN

    def check(self, component: int) -> Any:
        """The value of a component.

        Raises:
            NotReadyError: it is not ready yet.
            ClosedError: it has stopped, or will never be ready.
            RunError: it failed; its own error.

        """
        engine = self._engine
        state = engine.machine.states[component]
        if state in OPEN:
            return engine.values[component]
        if self._may_become_ready(component):
            name, since = engine.name(component), engine.since(component)
            raise NotReadyError(name, state, since, self.waits_for(component))
        raise self._why_never(component)

    async def wait(self, component: int) -> Any:
        """The value of a component, once it is ready.

        Raises:
            DeadlockError: that can never be, because of this wait.
            ClosedError: it will never be ready. Or `RunError`, where it failed: its own error.

        """
        await anyio.lowlevel.checkpoint()
        if self._engine.machine.states[component] in OPEN or not self._may_become_ready(component):
            return self.check(component)
        self._engine.loop.refuse_others()
        if (first := self.before_all.get(self._engine.loop.current_task())) is not None:
            raise DeadlockError((first, self._engine.name(component), first))
        waiter = self._waiter()
        if waiter is not None:
            self._refuse_a_circle(waiter, component)
            self._waits[waiter] = component
        try:
            await self._events.setdefault(component, anyio.Event()).wait()
        finally:
            if waiter is not None:
                self._waits.pop(waiter, None)
        return self.check(component)

    def open_or_give_up(self, component: int) -> None:
        """Whether it becomes ready is decided: wake who waits."""
        event = self._events.pop(component, None)
        if event is not None:
            event.set()
        for tell in self._told.pop(component, ()):
            tell()

    def let_go(self) -> None:
        """The engine is broken: nothing more will be decided; wake all who wait."""
        for component in [*self._events, *self._told]:
            self.open_or_give_up(component)

    def when_decided(self, component: int, tell: Callable[[], object], waiter: int | None) -> None:
        """Call something when it is decided whether a component becomes ready.

        Args:
            component: whose gate it is.
            tell: what is called, on the loop.
            waiter: the component whose start waits for that, if it is one's.

        Raises:
            DeadlockError: that can never be, because of this wait.

        """
        if not self._may_become_ready(component):
            tell()
            return
        if waiter is not None:
            self._refuse_a_circle(waiter, component)
            self._waits[waiter] = component
        self._told.setdefault(component, []).append(tell)

    def forget(self, component: int, tell: Callable[[], object], waiter: int | None) -> None:
        """Do not call it any more."""
        if waiter is not None:
            self._waits.pop(waiter, None)
        if tell in self._told.get(component, ()):
            self._told[component].remove(tell)

    def waiter_in_thread(self) -> int | None:
        """The component in whose start, in its own thread, the caller is."""
        index, host = self._caller()
        return index if host is not None and host.caller.is_in_own_thread else None

    def waits_for(self, component: int) -> tuple[str, ...]:
        """What a component that is not ready waits for, by name."""
        return tuple(self._engine.name(d) for d in self.awaited(component))

    def awaited(self, component: int) -> list[int]:
        """What a component that is not ready waits for: dependencies, and gates."""
        awaited = []
        if self._engine.machine.states[component] in _AHEAD:
            awaited = self._engine.machine.unsettled_dependencies(component)
            if (other := self._waits.get(component)) is not None:  # asked from any thread
                awaited.append(other)
        return awaited

    def _may_become_ready(self, component: int) -> bool:
        engine = self._engine
        return (
            engine.machine.states[component] in _AHEAD
            and engine.machine.phase in _STARTING
            and not engine.is_broken
        )

    def _why_never(self, component: int) -> RunError:
        engine = self._engine
        if engine.fault is not None:
            broken = ClosedError(engine.name(component), "by a fault of lifecycle itself")
            broken.__cause__ = engine.fault
            return broken
        blamed = engine.machine.blame.get(component, component)
        host, error = engine.hosts[blamed], engine.component_errors.get(blamed)
        if host is not None and host.crash is not None:
            error = host.crash  # it ended by that, whatever had gone wrong before
        if isinstance(error, RunError) and not isinstance(error, _OF_ITS_END):
            return error.again()
        closed = ClosedError(engine.name(component), engine.shutdown.reason or "")
        closed.__cause__ = error
        return closed

    def _waiter(self) -> int | None:
        """The component in whose own task, and start, the caller is."""
        index, host = self._caller()
        if host is None or host.task is not self._engine.loop.current_task():
            return None
        return index

    def _caller(self) -> tuple[int | None, Host | None]:
        """The component in whose context, and start, the caller is."""
        lifetime = current.get()
        if lifetime is None or lifetime.system is not self._engine.system:
            return None, None
        index = self._engine.index_of_name(lifetime.name)
        starts = self._engine.machine.states[index] is State.STARTING
        return (index, self._engine.hosts[index]) if starts else (None, None)

    def _refuse_a_circle(self, waiter: int, component: int) -> None:
        came_from = {component: waiter}
        todo = [component]
        while todo:
            at = todo.pop()
            if at == waiter:
                raise DeadlockError(self._path(came_from, waiter))
            for following in self.awaited(at):
                if following not in came_from:
                    came_from[following] = at
                    todo.append(following)

    def _path(self, came_from: dict[int, int], waiter: int) -> tuple[str, ...]:
        path = [waiter]
        while len(path) == 1 or path[-1] != waiter:
            path.append(came_from[path[-1]])
        return tuple(self._engine.name(component) for component in reversed(path))
