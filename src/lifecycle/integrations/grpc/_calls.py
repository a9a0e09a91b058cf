"""The calls that a server handles, as work in flight of its component."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

import anyio

from lifecycle.errors import ClosedError, WorkCancelledError
from lifecycle.integrations.grpc._refusals import SHUTTING_DOWN, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from lifecycle import Lifetime
    from lifecycle.integrations.grpc._barrier import Barrier

HEALTH: Final = "/grpc.health.v1.Health/"
"""Calls of this service are no work: they must neither be refused, nor hold anything up."""

_LONGEST = 200
_UNWIND: Final = 0.2
"""How long calls that were aborted may take to end before that is worth a word, in seconds."""

_logger = logging.getLogger(__name__)


class Calls:
    """All calls of one server. On the loop's thread, but for :meth:`why_refused`."""

    def __init__(self, owner: Lifetime[Any] | None, barrier: Barrier | None) -> None:
        """Count none yet.

        Args:
            owner: whose work they are; None: nobody's, outside a system.
            barrier: what keeps them out in the beginning.

        """
        self._owner = owner
        self._barrier = barrier
        self._in_flight: set[Call] = set()
        self._is_refusing = False
        self._are_cut = False
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._in_flight)

    def why_refused(self) -> str | None:
        """Say why a call is not taken now; None: it is. From any thread."""
        if self._is_refusing:
            return SHUTTING_DOWN
        return None if self._barrier is None else self._barrier.why_closed()

    def take(
        self,
        method: str,
        cut: Callable[[], object] = lambda: None,
        where: Callable[[], str] = lambda: "",
    ) -> Call:
        """Count a call, until it says that it has ended.

        Args:
            method: what is called; it becomes the name of the work.
            cut: called when the time to drain is over.
            where: says where it is, for a person.

        Raises:
            RefusedError: it is not taken.

        """
        why = self.why_refused()
        if why is not None:
            raise RefusedError(why)

        def cut_off() -> None:
            self._are_cut = True
            self._tell()
            cut()

        hold: AbstractContextManager[None] = contextlib.nullcontext()
        if self._owner is not None:
            hold = self._owner.hold(method[:_LONGEST], on_cut=cut_off)
        try:
            call = Call(self, hold, lambda: f"{method!r}{where()}")
        except ClosedError:
            raise RefusedError(SHUTTING_DOWN) from None
        self._in_flight.add(call)
        return call

    def refuse(self) -> None:
        """Take no more."""
        self._is_refusing = True

    async def finished(self) -> bool:
        """Wait for those in flight, unless their time is over; returns whether all have ended."""
        while self._in_flight and not self._are_cut:
            await self._changed.wait()
        return not self._in_flight

    async def ended(self) -> None:
        """Wait for those in flight, however long they take, and say which these are."""
        with anyio.move_on_after(_UNWIND):
            await self._none_left()
        if self._in_flight:
            left = "\n".join(call.describe() for call in self._in_flight)
            _logger.warning("waiting for calls that go on although they were aborted:\n%s", left)
        await self._none_left()

    async def _none_left(self) -> None:
        while self._in_flight:
            await self._changed.wait()

    def discard(self, call: Call) -> None:
        """Forget a call that has ended."""
        self._in_flight.discard(call)
        if not self._in_flight:
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class Call:
    """One call, in flight from the moment at which it was taken until its reply was sent."""

    def __init__(
        self, calls: Calls, hold: AbstractContextManager[None], describe: Callable[[], str]
    ) -> None:
        """Begin."""
        self._calls = calls
        self._held = contextlib.ExitStack()
        self._held.enter_context(hold)
        self.describe = describe

    def end(self) -> None:
        """Let go: the last byte of the reply was handed over, or never will be."""
        with contextlib.suppress(WorkCancelledError):
            self._held.close()
        self._calls.discard(self)
