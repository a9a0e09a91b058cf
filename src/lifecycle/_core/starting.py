"""The start: each component the moment that everything it depends on has settled.

A component has settled when it is ready, failed, or skipped. What requires one that failed is
skipped, however far off; what only wants it is started. Each component knows how many others it
still waits for, and whatever settles counts down those that waited for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle._core.commands import Cancel, Skip, Start
from lifecycle._core.transitions import Fact
from lifecycle.states import State

if TYPE_CHECKING:
    from lifecycle._core.ledger import Ledger


class Starting:
    """What has not settled yet."""

    def __init__(self, ledger: Ledger) -> None:
        """Nothing has settled."""
        self._ledger = ledger
        self._unsettled_of = [len(before) for before in ledger.edges.dependencies]
        self._unsettled = ledger.edges.size
        self.blame: dict[int, int] = {}
        """For what was skipped: the component that failed and that it requires, however far off."""

    @property
    def is_over(self) -> bool:
        """Whether everything has settled."""
        return not self._unsettled

    def begin(self) -> None:
        """Start what depends on nothing."""
        for component, unsettled in enumerate(self._unsettled_of):
            if not unsettled:
                self._start(component)

    def settle(self, component: int) -> None:
        """A component is ready, or has failed and may: it may be the turn of what waited for it."""
        settled, free = [component], list[int]()
        for which in settled:  # grows while it is walked: skipping reaches far
            if self._ledger.states[which] is not State.READY:
                settled += self._skip_what_requires(which)
            self._unsettled -= 1
            for dependent in self._ledger.edges.dependents[which]:
                self._unsettled_of[dependent] -= 1
                if self._unsettled_of[dependent] or not self._is_pending(dependent):
                    continue
                missing = self._failed_requirement(dependent)
                if missing is None:
                    free.append(dependent)
                else:
                    self._skip(dependent, missing)
                    settled.append(dependent)
        for which in sorted(free):
            self._start(which)

    def give_up(self, because_of: int | None) -> None:
        """Start nothing more, and cancel what is starting."""
        if because_of is not None:
            skipped = [because_of]
            for which in skipped:  # likewise
                skipped += self._skip_what_requires(which)
        for component, state in enumerate(self._ledger.states):
            if state is State.PENDING:
                self._skip(component, None)
            elif state is State.STARTING:
                self._ledger.unwinding[component] = True
                self._ledger.say(Cancel(component))

    def _is_pending(self, component: int) -> bool:
        return self._ledger.states[component] is State.PENDING

    def _start(self, component: int) -> None:
        self._ledger.move(component, Fact.START)
        self._ledger.say(Start(component))

    def _skip_what_requires(self, failed: int) -> list[int]:
        """Skip what cannot be started any more, and remember because of what."""
        skipped = list(filter(self._is_pending, self._ledger.edges.required_by[failed]))
        for dependent in skipped:
            self._skip(dependent, self.blame.get(failed, failed))
        return skipped

    def _skip(self, component: int, because_of: int | None) -> None:
        self._ledger.move(component, Fact.SKIP)
        if because_of is not None:
            self.blame[component] = because_of
        self._ledger.say(Skip(component, because_of))

    def _failed_requirement(self, component: int) -> int | None:
        """What it requires and what was ready, but has crashed since."""
        requires = self._ledger.edges.requires[component]
        failed = (r for r in requires if self._ledger.states[r] is State.FAILED)
        return next(failed, None)
