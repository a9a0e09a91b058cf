"""The one task of a service, or of the main of a program: it runs as long as the system does."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from lifecycle._core.component import Kind
from lifecycle._engine import calling
from lifecycle._engine.cancellation import is_cancellation
from lifecycle._engine.host import Host
from lifecycle._engine.retries import retried
from lifecycle.errors import StartError

if TYPE_CHECKING:
    from lifecycle._core.commands import Drain, Stop

RETURNED_EARLY = "it returned before it called `started()` on its Lifetime"


class ServiceHost(Host):
    """A function that runs from its start to its stop, and drains by ending.

    Without a `Lifetime` it is ready once it runs, does not drain, and is cancelled at its turn to
    stop. A main is ready once it runs and drains by ending.
    """

    stop_was_called = True  # to end is what it consists of
    _said = False
    _is_ready = False
    _asked: Drain | Stop | None = None
    _waits_for_stop = False
    _returned: object = None

    @property
    def drains_at_once(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.ended or self._waits_for_stop or not self._drains

    @property
    def has_stop(self) -> bool:
        """Its end is its stop."""
        return True

    @property
    def _drains(self) -> bool:
        return self.node.takes_lifetime or self.node.kind is Kind.MAIN

    def order(self, command: Drain | Stop) -> None:
        """Let it know; it ends by itself, or is cancelled."""
        self._asked = command
        if self.hook == "stop":
            # Also where nothing drains any more: to end is all that its stop consists of.
            self.draining.set()
            self.stopping.set()
            if not self._drains:
                self._scope.cancel()

    def say_started(self, value: object) -> None:
        """It is ready from here on; from any thread."""
        if self._said or not self.node.takes_lifetime or self.node.kind is Kind.MAIN:
            message = f"{self.node.name!r} has started already: `started()` is called once"
            raise RuntimeError(message)
        self._said = True
        if self.engine.loop.on_its_thread():
            self._ready(value)
        else:
            self.engine.keeper.post(functools.partial(self._ready, value))

    def _ready(self, value: object) -> None:
        self._is_ready = True
        if not (self.ended or self.expired or self.given_up):
            # A start that was cancelled in the same moment is one all the same.
            self.engine.starts.has_started(self, value)

    async def wait_stopping(self) -> None:
        """Return when it is time to stop; waiting for that in its own task is having drained."""
        self.engine.loop.refuse_others()  # elsewhere there is no telling whose task it is
        if self.task is not self.engine.loop.current_task():
            await self.stopping.wait()
            return
        self._waits_for_stop = True
        if self.hook == "drain":
            self.engine.drains.has_drained(self, None)
        try:
            await self.stopping.wait()
        finally:
            self._waits_for_stop = False

    async def _live(self) -> None:
        if not self.node.takes_lifetime or self.node.kind is Kind.MAIN:
            self._ready(None)
        await retried(self, self._start)

    async def _start(self, number: int) -> None:
        self._returned = await self.caller.around(
            "run", self.node.function, self._run_once, attempt=number, spans=True
        )

    @property
    def may_try_again(self) -> bool:
        """Whether it failed before it was ready."""
        return not self._is_ready and super().may_try_again

    async def _run_once(self) -> object:
        args, kwargs = self.engine.starts.arguments(self)
        assert self.node.function is not None  # noqa: S101  a service has one
        call = functools.partial(self.node.function, *args, **kwargs)
        return await self.caller.watch(calling.call(None, call))

    def _end(self, error: BaseException | None) -> None:
        if self.hook == "start" or not self._is_ready:
            if error is None and not (self.expired or self.cancelled):
                error = StartError(self.node.name, RETURNED_EARLY)
            self.engine.starts.start_ended(self, error)
        elif self.hook == "drain":
            if error is not None and is_cancellation(error):
                error = None  # it was cut off, and that is told
            error = self.engine.crashes.take_exit_code(self, error, self._returned)
            self.engine.drains.has_drained(self, error)
        elif self.hook == "stop":
            self.engine.stops.has_stopped(self, error)
        elif not self.given_up:
            self.engine.crashes.service_ended(self, error, self._returned)
