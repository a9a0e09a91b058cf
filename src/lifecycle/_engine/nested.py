"""One run of a system that is a component of another one.

Its two ends follow those of the component. When that drains, everything in it drains, and then it
waits; it is closed only when the component is stopped, since until then somebody may still use it.
For both it has the time that the hooks of the component have, less a little in which to say what
was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from lifecycle._core.budget import Budget, margin
from lifecycle._engine.lifetime import Lifetime
from lifecycle._engine.running import Running
from lifecycle.errors import ClosedError
from lifecycle.states import Trigger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from lifecycle._core.plan import Plan
    from lifecycle._engine.companions import Companion
    from lifecycle._engine.engine import Engine
    from lifecycle._engine.system import System
    from lifecycle.events import Observer
    from lifecycle.settings import Settings


class Nested(Running):
    """A system for the time of a component of another one, in whose task it is entered and left."""

    body_is_kept = True

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        companions: Sequence[Companion],
        observers: Sequence[Observer],
    ) -> None:
        """Nothing runs before it is entered.

        Raises:
            LookupError: the caller is no hook of a component.

        """
        super().__init__(plan, settings, companions, observers, self._watch)
        self._owner: Lifetime[Any] = Lifetime.current()
        self._is_asked = False
        self._ended_by_itself = False
        self._is_up = False

    @property
    def engine(self) -> Engine:
        """The run."""
        assert self._engine is not None  # noqa: S101  it was entered
        return self._engine

    async def __aenter__(self) -> System:
        """Start everything."""
        system = await super().__aenter__()
        self._is_up = True
        return system

    async def drain(self) -> None:
        """Drain everything, and close nothing yet."""
        self._is_asked = True
        now, left = self.engine.loop.now(), self._owner.time_left
        # When it is to have ended is known only when that begins; in no case later than this.
        end = now + self._owner.system.settings.grace_period
        self.engine.shutdown.grant(
            Budget(end=end, stops_end=end, drains_end=now + left - margin(left))
        )
        reason = f"{self._owner.name!r}, of which it is the system, drains"
        self.engine.shutdown.request(reason, Trigger.END, delay=False)
        await self.engine.drained.wait()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Close everything.

        Raises:
            RunError: the first cause of whatever went wrong.
            ClosedError: nothing did, but it has ended by itself, and was to run as long as the
                component.

        """
        swallowed = await super().__aexit__(kind, error, traceback)
        if self._ended_by_itself:
            closed = ClosedError(None, f"it ended by itself: {self.engine.shutdown.reason}")
            closed.report = self.engine.report
            raise closed
        return swallowed

    def _watch(self, engine: Engine) -> None:
        engine.shutdown.on_shutdown = self._shuts_down

    def _shuts_down(self) -> None:
        if not self._is_up or self._is_asked:
            return
        if self.engine.account.verdict.interrupted:
            # Whoever pressed Ctrl-C meant the program, and not a part of it.
            outer = self._owner._host.engine  # noqa: SLF001  of the same engine  # pyright: ignore[reportPrivateUsage]
            outer.shutdown.interrupted(KeyboardInterrupt(), repr(self._owner.name))
        else:
            # The component has crashed: what it waits in is cancelled.
            self._ended_by_itself = True
            assert self._body is not None  # noqa: S101  it was entered
            self._body.cancel()

    def _ask(self, engine: Engine, error: BaseException | None, *, by_itself: bool) -> None:
        self._is_asked = True
        left = self._owner.time_left
        if error is not None and not self._is_up:
            # A start that was cancelled has as long to unwind as a stop may take.
            left = self._owner.system.settings.stop_timeout
        engine.shutdown.bound(engine.loop.now() + left - margin(left))
        super()._ask(engine, error, by_itself=by_itself)

    async def _outlast(self, engine: Engine) -> None:
        if not self._is_up:
            await super()._outlast(engine)
            return
        try:
            await engine.ended.wait()
        except anyio.get_cancelled_exc_class():
            # The time of the component is over; the cancellation goes on when all has ended.
            engine.shutdown.bound(engine.loop.now())
            await super()._outlast(engine)
            raise
