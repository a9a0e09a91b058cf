"""The drain: each component when everything that uses it has drained.

A component has drained when its hook has ended and its work is no longer in flight. A start that
was cancelled and still unwinds uses things like any other. What has crashed has no hook to wait
for. When the time for all this is over, nothing more is asked to drain, and what is still waited
for is cut: the work at first, and hooks, and the body, when it has ended or was written off, so
that the hook that the work was in can handle that.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from lifecycle._core.commands import CutBody, CutDrain, CutWork, Drain, HasDrained
from lifecycle._core.transitions import Fact
from lifecycle.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle._core.in_flight import InFlight
    from lifecycle._core.ledger import Ledger


class _Drain(enum.IntEnum):
    """How far the drain of one component has come."""

    NOT_ASKED = 0
    HOOK = 1
    """Its hook runs."""
    WORK = 2
    """Its hook has ended, and it waits for its work."""
    OVER = 3


class Draining:
    """What has not drained yet."""

    def __init__(self, ledger: Ledger, in_flight: InFlight) -> None:
        """Nothing drains."""
        size = ledger.edges.size
        self._ledger = ledger
        self._in_flight = in_flight
        self._undrained_of = [0] * size
        self._undrained = 0
        self._come = [_Drain.NOT_ASKED] * size
        self._hooks = 0
        self._has_no_time = [False] * size
        self._is_cut = [False] * size
        self._body_is_cut = False
        self.time_is_over = False
        """Whether nothing is asked to drain any more."""
        self.awaits_body = False
        """Whether nothing is asked to drain yet: a crash has cancelled the body."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is waited for any more."""
        return not self._in_flight.body and self.is_over_but_for_the_body

    @property
    def is_over_but_for_the_body(self) -> bool:
        """Whether nothing is waited for any more, or the body alone."""
        if self.awaits_body or self._in_flight.work:
            return False
        return not (self._hooks if self.time_is_over else self._undrained)

    def begin(self) -> None:
        """Ask those to drain that nothing uses."""
        self._undrained_of = self._ledger.count_dependents()
        self._undrained = sum(self._ledger.alive)
        self.go_on()

    def go_on(self) -> None:
        """Ask those whose turn it is, and that were not asked yet."""
        self._ask(c for c, undrained in enumerate(self._undrained_of) if not undrained)

    def is_ready_too_late(self, component: int) -> None:
        """It was to be cancelled. What uses it was never started, so it is its turn at once."""
        self._undrained += 1
        self._ask([component])

    def has_unwound(self, component: int) -> None:
        """A start that was cancelled has ended: what it uses need not wait for it."""
        self._ask(self._let_go(component))

    def hook_has_ended(self, component: int) -> None:
        """In whichever way, or it was abandoned; also of what has crashed meanwhile."""
        if self._come[component] is _Drain.HOOK:
            self._hooks -= 1
            self._come[component] = _Drain.WORK
            self.work_has_changed(component)

    def work_has_changed(self, component: int) -> None:
        """Maybe it was the last piece that a component waited for."""
        if self._come[component] is _Drain.WORK and not self._in_flight.work_of(component):
            self._ask(self._has_drained(component))

    def was_asked(self, component: int) -> bool:
        """Whether it was its turn to drain, whatever became of that."""
        return self._come[component] is not _Drain.NOT_ASKED

    def has_no_time(self, component: int) -> bool:
        """Whether its own time to drain has run out."""
        return self._has_no_time[component]

    # --- the turn ------------------------------------------------------------------------------

    def _ask(self, free: Iterable[int]) -> None:
        """Ask these to drain, and what follows where that takes no time; the last started first."""
        waiting, asked = list(free), list[int]()
        for which in waiting:  # grows while it is walked: what crashed has no hook to wait for
            if not self._may_be_asked(which):
                continue
            crashed = self._ledger.states[which] is State.FAILED
            self._ledger.move(which, Fact.DRAIN)
            if not crashed:
                self._come[which] = _Drain.HOOK
                asked.append(which)
                continue
            self._come[which] = _Drain.WORK
            if not self._in_flight.work_of(which):
                waiting += self._has_drained(which)
        self._hooks += len(asked)
        for which in sorted(asked, reverse=True):
            self._ledger.say(Drain(which))

    def _may_be_asked(self, component: int) -> bool:
        is_its_turn = self._ledger.alive[component] and not self.was_asked(component)
        return is_its_turn and not self.time_is_over and not self.awaits_body

    def _has_drained(self, component: int) -> list[int]:
        """Returns what it used, and what nothing uses any more."""
        self._ledger.move(component, Fact.DRAINED)
        self._come[component] = _Drain.OVER
        self._undrained -= 1
        self._ledger.say(HasDrained(component))
        return self._let_go(component)

    def _let_go(self, component: int) -> list[int]:
        free: list[int] = []
        for dependency in self._ledger.edges.dependencies[component]:
            self._undrained_of[dependency] -= 1
            if not self._undrained_of[dependency]:
                free.append(dependency)
        return free

    # --- the time ------------------------------------------------------------------------------

    def cut(self, component: int) -> None:
        """A component has used up its own time."""
        self._has_no_time[component] = True
        if self._in_flight.work_of(component):
            self._ledger.say(CutWork(component))
        else:
            self.cut_hook(component)

    def cut_everything(self) -> None:
        """The time of all is over."""
        self.time_is_over = True
        self.awaits_body = False
        if self._in_flight.work:
            self._ledger.say(CutWork(None))
        else:
            self.cut_hooks()

    def cut_hooks(self) -> None:
        """After the work: now the hooks, and the body, which is like one."""
        if self._in_flight.body and not self._body_is_cut:
            self._body_is_cut = True
            self._ledger.say(CutBody())
        for component in range(self._ledger.edges.size):
            self.cut_hook(component)

    def cut_hook(self, component: int) -> None:
        """After its work: now its hook, if that still runs."""
        if self._come[component] is _Drain.HOOK and not self._is_cut[component]:
            self._is_cut[component] = True
            self._ledger.say(CutDrain(component))
