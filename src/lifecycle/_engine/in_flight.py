"""Work in flight: what the drain waits for, and cuts off when its time is over."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

from lifecycle._core.budget import UNWIND
from lifecycle._engine.cancellation import is_cancellation
from lifecycle._engine.observers import logger
from lifecycle.errors import ClosedError, WorkCancelledError
from lifecycle.report import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from types import TracebackType

    import anyio

    from lifecycle._engine.engine import Engine

holding: ContextVar[Hold | None] = ContextVar("lifecycle_hold", default=None)


class Hold:
    """One piece of work in flight."""

    __slots__ = (
        "_in_flight",
        "_is_entered",
        "_on_cut",
        "_scope",
        "_token",
        "began",
        "component",
        "cut",
        "outer",
        "reason",
        "until",
        "what",
    )

    def __init__(
        self,
        in_flight: InFlight,
        what: str,
        component: int | None,
        on_cut: Callable[[], object] | None,
    ) -> None:
        """Note whose work it is; it is in flight from `__enter__` to `__exit__`."""
        self._in_flight = in_flight
        self._on_cut = on_cut
        self._is_entered = False
        self._scope: anyio.CancelScope | None = None
        self._token: Token[Hold | None] | None = None
        self.what = what if type(what) is str else str(what)  # probes have to write it
        self.component = component
        self.began = 0.0
        self.cut = False
        """Whether the time to drain ran out before it had ended, or trouble had it cancelled."""
        self.outer: Hold | None = None
        """The one that it was entered in."""
        self.until = math.inf
        """When it is waited for no longer, since it was cut off and has had its time to unwind."""
        self.reason = ""
        """What cut it off, where it was not the end of the time to drain."""

    @property
    def engine(self) -> Engine:
        """Whose work it is."""
        return self._in_flight.engine

    @property
    def is_in_flight(self) -> bool:
        """Whether it has been taken in, and has not ended."""
        return self in self._in_flight

    def __enter__(self) -> None:
        """Take the work in."""
        if self._is_entered:
            message = f"{self.what!r} is in flight already: call hold(…) for each piece of work"
            raise RuntimeError(message)
        self._is_entered = True
        in_flight = self._in_flight
        loop = in_flight.engine.loop
        on_loop = loop.on_its_thread()
        try:
            (in_flight.take_in if on_loop else in_flight.take_in_from_thread)(self)
        except BaseException:
            self._is_entered = False
            raise
        if on_loop and self._on_cut is None and loop.in_task():
            scope = self._scope = loop.new_scope()
            scope.__enter__()
            self.outer = holding.get()
            self._token = holding.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End the work, and raise where it was cut off."""
        swallowed: bool | None = False
        try:
            if self._scope is not None:
                # In another task it raises; and trio's also raises what is left of a group.
                swallowed = self._scope.__exit__(kind, error, traceback)
        finally:
            if self._token is not None:
                with contextlib.suppress(ValueError):  # of another task: the scope has told
                    holding.reset(self._token)
                self._token = None
            self._in_flight.release(self, error)
            self._is_entered = False
            # Tasks that were begun in it may go on, and are not to keep all that went before.
            self.outer = None if self.outer is None else self.outer.still_in_flight()
        if self.cut and (error is None or swallowed or self._in_flight.is_cancellation(error)):
            # Also where a scope further out was cancelled with it: that one delivers its
            # cancellation again, at the next await.
            name = self._in_flight.name_of(self.component)
            raise WorkCancelledError(self.what, name, self.reason) from None
        return swallowed

    def still_in_flight(self, engine: Engine | None = None) -> Hold | None:
        """This, or the innermost one around it that has not ended; of one system, or of any."""
        hold: Hold | None = self
        while hold is not None:
            if hold.is_in_flight and engine in (None, hold.engine):
                return hold
            hold = hold.outer
        return None

    def cancel(self) -> None:
        """The time to drain is over. Work in a thread goes on, and is told at its end."""
        self.cut = True
        if self._scope is not None:
            self._scope.cancel()
        if self._on_cut is not None:
            try:
                self._on_cut()
            except BaseException:  # noqa: BLE001  whatever it raises, the shutdown goes on
                with contextlib.suppress(BaseException):
                    logger.exception("what was to be told that %r is cut off failed", self.what)

    def as_work(self, now: float) -> Work:
        """What it is, for people."""
        return Work(self.what, self._in_flight.name_of(self.component), now - self.began)


_GONE = False
_AT_ONCE = 0.1
"""For how long work that was cancelled is remembered, in case its component crashes, in seconds."""


class InFlight:
    """All work in flight of one system."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is in flight yet."""
        self.engine = engine
        self._holds: dict[Hold, bool] = {}
        self._holds_of: dict[int | None, dict[Hold, bool]] = {}
        """The same, of each component; its cut is not to look at everyone's."""
        self._cancelled: list[tuple[float, Hold]] = []
        """What ended just now by a cancellation of somebody else's, and when."""

    def __contains__(self, hold: Hold) -> bool:
        """Whether a piece of work is in flight."""
        return hold in self._holds

    def hold(
        self, what: str, component: int | None, on_cut: Callable[[], object] | None
    ) -> AbstractContextManager[None, None]:
        """Make a piece of work; it is in flight while it is entered."""
        return Hold(self, what, component, on_cut)  # type: ignore[return-value] # pyright: ignore[reportReturnType] # it swallows only to raise

    def name_of(self, component: int | None) -> str | None:
        """The name of a component; None for the system."""
        return None if component is None else self.engine.plan.components[component].name

    def is_cancellation(self, error: BaseException) -> bool:
        """Whether an exception is a cancellation; also in a thread, or a bare callback."""
        return is_cancellation(error, self.engine.loop.cancelled)

    def now_held(self) -> tuple[Work, ...]:
        """What is in flight at this moment; from any thread."""
        now = self.engine.loop.now()
        return tuple(hold.as_work(now) for hold in list(self._holds))

    def take_in(self, hold: Hold) -> None:
        """Count a piece of work.

        Raises:
            ClosedError: no work is taken any more.

        """
        machine, component = self.engine.machine, hold.component
        if not machine.accepts_work or (component is not None and machine.is_cut(component)):
            reason = f"no work is taken any more ({self.engine.shutdown.reason})"
            raise ClosedError(self.name_of(component), reason)
        hold.began = self.engine.loop.now()
        self._holds[hold] = True
        if (own := self._holds_of.get(component)) is None:
            own = self._holds_of[component] = {}
        own[hold] = True
        machine.held(component)

    def take_in_from_thread(self, hold: Hold) -> None:
        """The same from another thread: decided on the loop, so that no drain ends in between."""
        answer: list[ClosedError | None] = []
        answered = threading.Event()

        def decide() -> None:
            try:
                self.take_in(hold)
                answer.append(None)
            except ClosedError as error:
                answer.append(error)
            answered.set()

        if not self.engine.keeper.post(decide):
            raise ClosedError(
                None, f"it has ended ({self.engine.shutdown.reason or 'its loop has'})"
            )
        answered.wait()
        if answer[0] is not None:
            raise answer[0]

    def release(self, hold: Hold, error: BaseException | None) -> None:
        """A piece of work has ended."""
        if not self.engine.loop.on_its_thread():
            self.engine.keeper.post(functools.partial(self.release, hold, error))
            return
        if (
            error is None
            or hold.cut
            or hold not in self._holds  # written off before
            or not self.is_cancellation(error)
        ):
            self._release(hold)
        else:
            self._release_cancelled(hold)

    def _release_cancelled(self, hold: Hold) -> None:
        """It ended by somebody else's cancellation: that is a loss where we are in trouble."""
        if self.engine.shutdown.reason is not None:
            self._lose(hold)
        elif hold.component is None:
            self._release(hold)
        else:
            # A group that crashes cancels this work and its component in the same instant, and
            # this task may be the first to run: whether it did is known one turn later.
            self.engine.keeper.post(functools.partial(self._release_if_alive, hold))

    def _release_if_alive(self, hold: Hold) -> None:
        if hold.component is not None and self.engine.has_failed(hold.component):
            self._lose(hold)
        else:
            self._remember(hold)
            self._release(hold)

    def _remember(self, hold: Hold) -> None:
        now = self.engine.loop.now()
        self._cancelled = [one for one in self._cancelled if one[0] >= now - _AT_ONCE]
        self._cancelled.append((now, hold))

    def has_crashed(self, component: int) -> None:
        """A component ended by itself: its work that was cancelled just before was lost by that.

        The group of a service has to end before the service does, which takes a few turns.
        """
        now = self.engine.loop.now()
        for at, hold in self._cancelled:
            if hold.component == component and at >= now - _AT_ONCE:
                self._tell_of_loss(hold, at, by_crash=True)
        self._cancelled = [one for one in self._cancelled if one[1].component != component]

    def _lose(self, hold: Hold) -> None:
        if hold in self._holds:
            if not hold.cut:
                hold.cut = True
                host = None if hold.component is None else self.engine.hosts[hold.component]
                by_crash = host is not None and host.crash is not None
                self._tell_of_loss(hold, self.engine.loop.now(), by_crash=by_crash)
            self._release(hold)

    def _tell_of_loss(self, hold: Hold, at: float, *, by_crash: bool) -> None:
        if by_crash:
            hold.reason = f"it was cancelled when {self.name_of(hold.component)!r} crashed"
        else:
            hold.reason = "it was cancelled while the system shut down"
        self.engine.drains.work_was_lost(hold.as_work(at), hold.reason)

    def _release(self, hold: Hold) -> None:
        if self._holds.pop(hold, _GONE) is _GONE:
            return  # written off before
        del self._holds_of[hold.component][hold]
        self.engine.apply(self.engine.machine.released, hold.component)

    def of(self, component: int | None) -> list[Hold]:
        """The work of one component; None: what belongs to the system itself."""
        return list(self._holds_of.get(component, ()))

    def of_everyone(self) -> list[Hold]:
        """All work."""
        return list(self._holds)

    def cut(self, holds: Iterable[Hold]) -> list[Hold]:
        """Cancel work, unless that was done before; returns what was cancelled now."""
        cut = [hold for hold in holds if not hold.cut]
        for hold in cut:
            hold.cancel()
        until = self.engine.loop.now() + UNWIND
        for hold in cut:
            hold.until = until
        return cut

    def write_off(self, holds: Iterable[Hold]) -> None:
        """Wait no longer for what was cut long enough ago and has not ended."""
        now = self.engine.loop.now()
        for hold in holds:
            if hold.until <= now:
                self._release(hold)
