"""When the watchdog has a process ended by force, and when it leaves that alone.

That it ends a process at all is shown by real ones, in tests/e2e.
"""

from __future__ import annotations

import faulthandler
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle._engine.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

GENEROUS = 60.0
ARMED, CANCELLED = "armed", "cancelled"


class Force:
    """What would end the process by force, at what time of the watchdog's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.times: list[float] = []
        """In how many seconds it would, each time that it was asked to."""
        monkeypatch.setattr(faulthandler, "dump_traceback_later", self._arm)
        monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", self._cancel)

    def _arm(self, timeout: float, **options: Any) -> None:
        assert options == {"exit": True, "file": sys.stderr.fileno()}
        self.times.append(timeout)
        self._asked.put(ARMED)

    def _cancel(self) -> None:
        self._asked.put(CANCELLED)

    def during(self, act: Callable[[Watchdog], object], *, enabled: bool = True) -> list[str]:
        """Have a watchdog, do something to it, and tell what it has asked for up to its end."""

        def end(code: int) -> None:
            pytest.fail(f"the process would have ended with {code}")

        watchdog = Watchdog(code=int, say_why=int, end=end, enabled=enabled)
        before = set(threading.enumerate())
        watchdog.start()
        (thread,) = set(threading.enumerate()) - before
        act(watchdog)
        watchdog.disarm()
        thread.join(GENEROUS)
        return [self._asked.get() for _ in range(self._asked.qsize())]


@pytest.fixture
def force(monkeypatch: pytest.MonkeyPatch) -> Force:
    """Have nothing ended by force."""
    return Force(monkeypatch)


def test_an_earlier_end_by_force_stays(force: Force) -> None:
    """Whoever arms it once more, later, does not move the end; sooner, it does."""

    def act(watchdog: Watchdog) -> None:
        watchdog.arm(1000, 10)
        watchdog.arm(2000, 10)
        watchdog.arm(500, 10)

    assert [ARMED, ARMED, CANCELLED] == force.during(act)
    first, second = force.times
    assert 1000 - GENEROUS < first <= 1005
    assert 500 - GENEROUS < second <= 505


@pytest.mark.parametrize("enabled", [True, False])
def test_what_somebody_else_has_set_is_left_alone(force: Force, *, enabled: bool) -> None:
    """There is one for a process: where nothing was armed here, it is a test runner's, say."""

    def act(watchdog: Watchdog) -> None:
        if not enabled:
            watchdog.arm(1000, 10)

    assert [] == force.during(act, enabled=enabled)
