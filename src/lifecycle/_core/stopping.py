"""The stop: each component when everything that uses it has ended.

It has ended when its stop is over, or its cancelled start has unwound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle._core.commands import Settled, Stop
from lifecycle._core.transitions import Fact
from lifecycle.states import State

if TYPE_CHECKING:
    from lifecycle._core.draining import Draining
    from lifecycle._core.ledger import Ledger


class Stopping:
    """What has not ended yet."""

    def __init__(self, ledger: Ledger, draining: Draining) -> None:
        """Nothing is being stopped."""
        self._ledger = ledger
        self._draining = draining
        self._unended_of = [0] * ledger.edges.size
        self._unended = 0
        self.has_begun = False
        self.may_drain = True
        """Whether what was not asked to drain does so as the first part of its stop."""

    def begin(self) -> None:
        """Stop what nothing uses; of several the one that was started last first."""
        self.has_begun = True
        self._unended_of = self._ledger.count_dependents()
        self._unended = sum(self._ledger.alive) + sum(self._ledger.unwinding)
        for component in reversed(range(self._ledger.edges.size)):
            self._stop_if_free(component)
        self._check_settled()

    def stop(self, component: int) -> None:
        """Its turn has come."""
        crashed = self._ledger.states[component] is State.FAILED
        drain = self.may_drain and not crashed and not self._draining.was_asked(component)
        self._ledger.move(component, Fact.STOP)
        self._ledger.say(Stop(component, drain))

    def has_ended(self, component: int) -> None:
        """It may be the turn of what it used."""
        self._unended -= 1
        for dependency in sorted(self._ledger.edges.dependencies[component], reverse=True):
            self._unended_of[dependency] -= 1
            self._stop_if_free(dependency)
        self._check_settled()

    def _stop_if_free(self, component: int) -> None:
        if self._ledger.alive[component] and not self._unended_of[component]:
            self.stop(component)

    def _check_settled(self) -> None:
        if not self._unended:
            self._ledger.say(Settled())
