"""The one task in which a component lives, from its start to its stop.

Its rules:

* One cancel scope spans the whole life, since scopes that the user's generator opened may be open
  from start to stop, and scopes close in the reverse order. It is cancelled at most once: at the
  deadline of the start, or of the stop.
* The drain, and each hook of an object, has a scope of its own inside it, so that a drain that is
  cut off leaves the stop its full time.
* What arrives while the component waits for its turn (a group of its own that crashed) is kept, and
  thrown into it when its turn to stop has come.
* Every exception is looked at only after the life's scope was left: before that, an exception group
  may still hold cancellations that are the scope's own business.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle._core.commands import Drain, Stop
from lifecycle._engine import lives, stacks
from lifecycle._engine.attempt import Attempt
from lifecycle._engine.caller import Caller
from lifecycle._engine.cancellation import is_being_cancelled, is_cancellation
from lifecycle._engine.flag import Flag
from lifecycle._engine.lifetime import Lifetime, current
from lifecycle._engine.retries import retried
from lifecycle._engine.threads import outlast
from lifecycle._engine.timing import Timed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle._core.component import Node
    from lifecycle._engine.bell import Bell
    from lifecycle._engine.engine import Engine
    from lifecycle.errors import CrashedError, Hook, RunError


class Host(Timed):
    """One component: its task, its hooks, and the time that they have."""

    task: object = None
    """Its one task, while that runs."""
    ended = False
    """Whether the task is over: what is left to do takes no time."""
    crash: CrashedError | None = None
    start_failure: RunError | None = None
    """Why it is not ready, where that was decided before its start hook had ended."""
    unwound_by: BaseException | None = None
    """What its stop raised; also where the scope of its life swallows that."""
    failed_attempt: BaseException | None = None
    """What the last attempt to start it that failed has raised, where another one follows."""
    failed_attempts = 0
    """How many there have been by then."""
    stop_was_called = False
    """Whether its task came to that; a drain that is left behind may keep it from it."""
    own_check: Callable[[], Any] | None = None
    """The check that the object itself brings."""
    context: contextvars.Context | None = None
    """What its start has set, once it is ready; where there are checks, which run in it."""
    _life = lives.Value(None)
    _drain_hook: Callable[[], Any] | None = None
    _thrown: BaseException | None = None
    _called: Bell | None = None
    """Made anew whenever the task waits for its next order."""
    _orders: tuple[Drain | Stop, ...] = ()
    """What it was told and has not done yet."""
    _is_called = False
    _is_parked = False
    _has_turn = False
    _drains_within_stop = False

    def __init__(self, engine: Engine, node: Node) -> None:
        """Prepare the life of a node; `run` is the life."""
        super().__init__(engine, node)
        self.caller = Caller(engine, node)
        self.lifetime: Lifetime[Any] = Lifetime(self)
        self.draining = Flag(engine.loop)
        self.stopping = Flag(engine.loop)

    def _start_expired(self) -> None:
        self.engine.starts.start_expired(self)

    def _start_is_given_up(self) -> None:
        # It may listen to nothing else: a cancellation does not reach a thread.
        self.draining.set()
        self.stopping.set()

    def _drain_expired(self) -> None:
        # The machine decides: what the component holds is cut off before its hook is.
        self.engine.drains.drain_expired(self)

    def _abandoned(self, hook: Hook) -> None:
        # It may wait for tasks of its own: then where those are is what a person has to know.
        self.engine.stops.abandoned(self, hook, self.stack() + stacks.of_children(self.task))

    def stack(self) -> str:
        """Where the component is, as a traceback."""
        return self.caller.stack() or stacks.of(self._life.awaited)

    # --- orders --------------------------------------------------------------------------------

    def order(self, command: Drain | Stop) -> None:
        """Tell the task what to do next."""
        if isinstance(command, Drain):
            # From the first: what cuts the drain off may come before the task has run, and must
            # not cancel the whole life.
            self._hook_scope = self.engine.loop.new_scope()
        self._orders += (command,)
        if not self._is_parked:
            self._call_up()
        elif not self._has_turn:
            self._has_turn = True
            self.engine.turns.give(self._call_up)

    def let_go(self) -> None:
        """The engine is broken: wait for no order any more."""
        self._call_up()

    def _call_up(self) -> None:
        self._is_called = True
        if self._called is not None:
            self._called.set()

    @property
    def drains_at_once(self) -> bool:
        """Whether there is no drain hook to wait for."""
        return self.ended or self._drain_hook is None

    @property
    def has_stop(self) -> bool:
        """Whether there is anything to do at its stop, its drain excepted."""
        return self._life.has_stop

    @property
    def stops_at_once(self) -> bool:
        """Whether there is nothing to do at its stop."""
        return self.ended

    # --- the life ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live: to be the component's one task."""
        self.engine.turns.taken()
        current.set(self.lifetime)
        self.task = self.engine.loop.current_task()
        error: BaseException | None = None
        try:
            with self._scope:
                if self._scope.cancel_called:  # given up before it ran: then nothing is called
                    await anyio.lowlevel.checkpoint()
                await self._live()
        except BaseException as raised:  # noqa: BLE001  it goes into the report, whatever it is
            error = raised
        if not self.ended:  # else it is a value from here on, and has its turn like all others
            self.draining.set()
            self.stopping.set()
        self.ended = True
        self.task = None
        self.caller.end()
        self._end(error)

    async def _live(self) -> None:
        await retried(self, self._start)
        if self._scope.cancel_called and not self._may_still_start():
            await self._discard()
            return
        self.ended = self._drain_hook is None and not self._life.has_stop
        if self.node.hooks.checks or self.own_check is not None:
            self.context = contextvars.copy_context()
        self.engine.starts.has_started(self, self._life.value)
        if self.ended:
            return
        while True:
            order = await self._next_order()
            if isinstance(order, Drain):
                if self._thrown is None:  # it may have crashed as it was asked
                    await self._drain()
                continue
            if order.drain and self._drain_hook is not None and not self.engine.shutdown.is_forced:
                await self._drain_within_stop()
            await self._stop()
            return

    def _may_still_start(self) -> bool:
        """Whether a start that ended well after its cancellation counts: its stop can still run."""
        return not (self.expired or self.given_up or self._life.spans)

    async def _discard(self) -> None:
        """Unwind what was ready too late."""
        try:
            await anyio.lowlevel.checkpoint()
        except BaseException as cancellation:
            await self._life.discard(cancellation)
            raise

    async def _start(self, number: int) -> None:
        attempt = Attempt(self)
        self._life = await attempt.make(number)
        self._drain_hook, self.own_check = attempt.drain_hook, attempt.check

    @property
    def may_try_again(self) -> bool:
        """Whether another attempt to start it is called for."""
        return not self._scope.cancel_called

    async def _next_order(self) -> Drain | Stop:
        while not self._is_called and not self.engine.is_broken:
            if self._thrown is None and not self._scope.cancel_called:
                self._called = self.engine.loop.new_bell()
                self._is_parked = True
                try:
                    await self._called.wait()
                except BaseException as error:  # noqa: BLE001  kept, and thrown at its turn
                    self._is_parked = False
                    self._crashed(error)
                self._is_parked = False
            else:
                self._called = called = anyio.Event()
                with (
                    contextlib.suppress(anyio.get_cancelled_exc_class()),
                    anyio.CancelScope(shield=True),
                ):
                    await outlast(called)
        if self._has_turn:
            self._has_turn = False
            self.engine.turns.taken()
        if not self._orders:
            return Stop(self.node.index, drain=False)  # the engine is broken: nobody will say it
        order, *following = self._orders
        self._orders = tuple(following)
        self._is_called = bool(self._orders)
        return order

    def _crashed(self, error: BaseException) -> None:
        self._thrown = error
        if self.crash is None:
            self.engine.crashes.has_crashed(self, None)

    async def _drain(self) -> None:
        error = await self._call_drain()
        if "drain" in self.given_up:
            return
        if error is not None and self._is_crash(error):
            self._crashed(error)
            return
        self.engine.drains.has_drained(self, error)

    async def _drain_within_stop(self) -> None:
        """It was never asked to drain, since the time for that was over: now, on half the time."""
        self._hook_scope = self.engine.loop.new_scope()
        half = self.engine.loop.now() + self.time_left / 2
        alarm = self.engine.keeper.at(half, self._cut_drain_short)
        self._drains_within_stop = True
        error = await self._call_drain()
        self._drains_within_stop = False
        alarm.cancel()
        if error is not None and self._is_crash(error):
            self._crashed(error)
        elif error is not None or self._hook_scope.cancelled_caught:
            self.engine.drains.drain_failed(self, error)

    def force(self) -> None:
        """A second interrupt: no drains any more."""
        if self._drains_within_stop:
            self._cut_drain_short()

    def _is_crash(self, error: BaseException) -> bool:
        """Whether what a drain hook raised is the crash of a group that the component has open."""
        return is_cancellation(error) and is_being_cancelled(self.task)

    def _cut_drain_short(self) -> None:
        self._hook_scope.cancel()

    async def _call_drain(self) -> BaseException | None:
        """Call the drain hook in a scope of its own; returns what it raised."""
        assert self._drain_hook is not None  # noqa: S101  it was asked for before
        self._hook_scope.shield = self._scope.cancel_called or self._thrown is not None
        try:
            with self._hook_scope:
                if self.expired:
                    self._hook_scope.cancel()
                call = functools.partial(self.caller.call, self._drain_hook)
                spans = self._life.spans
                await self.caller.around("drain", self._drain_hook, call, spans=spans)
        except BaseException as error:  # noqa: BLE001  it goes into the report
            return error
        return None

    async def _stop(self) -> None:
        self.stop_was_called = True
        self._hook_scope = self._scope
        if self._life.spans:
            if self.expired:
                self._scope.cancel()
            await self._stop_life()
            return
        shield = self._scope.cancel_called or self._thrown is not None
        with self.engine.loop.new_scope(shield=shield) as self._hook_scope:
            if self.expired:
                self._hook_scope.cancel()
            await self._stop_life()

    async def _stop_life(self) -> None:
        try:
            function, spans = self._life.stop_function, self._life.spans
            await self.caller.around("stop", function, self._call_stop, spans=spans)
        except BaseException as error:
            self.unwound_by = error
            raise

    def _call_stop(self) -> Awaitable[Any]:
        return self.caller.watch(self._life.stop(self._thrown))

    # --- the end -------------------------------------------------------------------------------

    def _end(self, error: BaseException | None) -> None:
        """The task is over: say what came of it."""
        if self.hook == "start":
            self.engine.starts.start_ended(self, error)
        elif self.crash is not None or self.hook == "stop":
            self.engine.stops.has_stopped(self, error)
        elif error is not None and not self.given_up:  # in none of its hooks: a fault of ours
            self.engine.give_up(error)

    # --- what its Lifetime says ----------------------------------------------------------------

    def say_started(self, value: object) -> None:
        """Only a service says so itself."""
        del value
        message = f"{self.node.name!r} is no service: it is ready when its start has ended"
        raise RuntimeError(message)

    async def wait_stopping(self) -> None:
        """Return when it is time to stop."""
        await self.stopping.wait()
