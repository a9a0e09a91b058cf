"""Virtual time: where it stands, what holds it, and where it goes next.

The rules, which are the same on asyncio and on trio:

* Time stands still as long as anything can run, and as long as it is held.
* When all wait, it jumps to what is due next, exactly, and never past it.
* An `advance` ends when its time has come and everything that was due then has settled.

An event loop that has nothing to run asks for `is_held` *before* it looks for I/O that is ready,
and calls `move` after: what a thread did before it let go of time is ready by then.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import time
from typing import TYPE_CHECKING, Final

import anyio

from lifecycle.errors import add_note
from lifecycle.testing import _stacks
from lifecycle.testing._stalled import StalledError
from lifecycle.testing._workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from lifecycle.testing._stacks import Wait


_MANY: Final = 10_000
"""How often an event loop turns without a rest before that is suspicious."""


class Timeline:
    """The time of one event loop, or of several that run one after the other."""

    def __init__(self, patience: float) -> None:
        """Begin at 0, and move by itself."""
        self._first_patience = patience
        self.now = 0.0
        """The time, in virtual seconds; may be read from any thread."""
        self.auto = True
        """Whether time moves by itself when all wait."""
        self.limit = math.inf
        """When a run is given up that does not end by itself, in virtual seconds; one that turns
        without a rest, when its patience is over."""
        self.is_spent = False
        """Whether that is the case."""
        self.patience = patience
        """How long to wait for the outside world, in real seconds."""
        self.workers = Workers(self._wake_up)
        self.give_up: Callable[[], object] | None = None
        """Ends what runs, by cancellation; None: nobody has said how."""
        self.stalled: StalledError | None = None
        """Why it was ended so."""
        self._turns = 0
        self._turns_since = 0.0
        self._wake: Callable[[], object] = _do_nothing
        self._holds: dict[object, str] = {}
        self._advances: list[tuple[float, int, anyio.Event]] = []
        self._count = itertools.count()

    def begin(self, wake: Callable[[], object]) -> None:
        """Begin at 0 with a new event loop.

        Args:
            wake: lets the event loop look again, from any thread, when it is asleep.

        """
        self.now = 0.0
        self.auto = True
        self.patience = self._first_patience
        self.is_spent = False
        self.stalled = None
        self._turns = 0
        self._wake = wake
        self._advances.clear()

    def end(self) -> None:
        """Forget the event loop."""
        self._wake = _do_nothing

    # --- what users ask for --------------------------------------------------------------------

    async def advance(self, seconds: float) -> None:
        """Wait for a time, and for all to settle; where time does not move by itself, move it."""
        entry = (self.now + seconds, next(self._count), anyio.Event())
        heapq.heappush(self._advances, entry)
        try:
            await entry[-1].wait()
        finally:
            if entry in self._advances:
                self._advances.remove(entry)
                heapq.heapify(self._advances)

    @contextlib.contextmanager
    def hold(self, why: str) -> Generator[None]:
        """Let time stand still."""
        key = object()
        self._holds[key] = why
        try:
            yield
        finally:
            del self._holds[key]
            self._wake_up()

    # --- what event loops ask for --------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        """Whether time must stand still although all wait."""
        return bool(self._holds) or self.workers.any_at_work()

    @property
    def held_by(self) -> list[str]:
        """What holds time, for a person."""
        return [*self._holds.values(), *self.workers.at_work()]

    @property
    def is_alone(self) -> bool:
        """Whether no thread is there that could end a wait."""
        return not self.workers.any_may_go_on() and not _stacks.others()

    @property
    def is_moved(self) -> bool:
        """Whether anything lets time move at all."""
        return self.auto or bool(self._advances)

    def goes_round(self) -> bool:
        """Note a turn of the event loop; says whether it turns for nothing, and for too long.

        Something always runs, and so time cannot move: a task that swallows its cancellation is
        cancelled again in each turn, and may do so for ever. Only a run with a limit is given up
        for that: nobody can tell it from one that has much to do, such as starting a hundred
        thousand components.
        """
        if self.limit == math.inf:
            return False
        if not self._turns:
            self._turns_since = time.monotonic()
        self._turns += 1
        if self._turns % _MANY:
            return False
        self.is_spent = time.monotonic() - self._turns_since > self.patience
        return self.is_spent

    def rest(self) -> None:
        """Note that the event loop has nothing to run: what it did was not for nothing."""
        self._turns = 0

    def move(self, due: float) -> bool:
        """Go on to what comes next: all wait, and time is not held.

        Args:
            due: when the next timer of the event loop is due; infinity: there is none.

        Returns:
            Whether there is anything to do now: a timer is due, or a task was woken.

        """
        advanced = self._advances[0][0] if self._advances else math.inf
        if self.limit < min(due, advanced) < math.inf:
            self.is_spent = True
            return False
        if due <= advanced:
            if due == math.inf or (due > self.now and not self.is_moved):
                return False
            self.now = max(self.now, due)
            return True
        self.now = max(self.now, advanced)
        heapq.heappop(self._advances)[-1].set()
        return True

    def stall(self, waits: Sequence[Wait]) -> Callable[[], object] | None:
        """Note that all wait, and that nothing can end it.

        Args:
            waits: who waits where.

        Returns:
            What ends it, by cancellation; None: that was done already, or nobody has said how.

        """
        error = StalledError(self._reason(), self.now, waits, _stacks.threads())
        if self.stalled is None:
            self.stalled = error
        else:
            add_note(self.stalled, f"And what was cancelled does not end: {error}")
        give_up, self.give_up = self.give_up, None
        return give_up

    def _reason(self) -> str:
        if self.is_spent and self._turns >= _MANY:
            return (
                f"something runs, time after time, for {self.patience:g} s of real time, and never "
                "waits: does it swallow its cancellation?"
            )
        if self.is_spent:
            return f"it was to end within {self.limit:g} s of virtual time, and goes on"
        quiet = f"nothing has happened for {self.patience:g} s of real time"
        if self.is_held:
            return f"time stands still for {', '.join(self.held_by)}, and {quiet}"
        if not self.is_moved:
            return "time moves only by `advance` (auto is off), and nobody calls it"
        return "no timer is due, no thread works, and no I/O is ready"

    def _wake_up(self) -> None:
        self._wake()


def _do_nothing() -> None:
    pass
