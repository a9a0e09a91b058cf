"""What the page is told while it is open: server-sent events, with the parts that have changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from lifecycle import Lifetime
from lifecycle.probes.answers import shown
from lifecycle.probes.page.headline import end_of, headline
from lifecycle.probes.page.signs import icon
from lifecycle.probes.page.view import View
from lifecycle.states import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lifecycle import System
    from lifecycle.report import CheckResult, ComponentStatus, Status

LOOK = 1.0
"""Seconds between two looks at what is in flight: that comes and goes without any news of it."""
LEAST = 0.25
"""Seconds between two events at least: nobody reads faster."""
QUIET = 10.0
"""Seconds after which something is sent, so that it shows when nobody listens any more."""
_SAME = 0.5
"""By how many seconds two accounts of one moment may differ: they were taken at other times."""


async def events(system: System) -> AsyncGenerator[bytes]:
    """Follow a system: all parts first, then those that have changed, and at last how it ended.

    Where a component of the system is the server of this, it ends with the drain: that waits for
    it.
    """
    follower = Follower(View.of(system))
    changes = system.changes()
    within = _is_served_by(system)
    yield _event("view", follower.view.digest)
    quiet_since = anyio.current_time()
    while True:
        status = shown(system)
        now = anyio.current_time()
        news = follower.news(status, now)
        if news:
            yield _event("parts", news)
            quiet_since = now
        elif now - quiet_since >= QUIET:
            yield b":\n\n"
            quiet_since = now
        if _is_over(status):
            yield _event("end", f"closed: {end_of(status)}")
            return
        if within and system.draining:
            yield _event("end", "the server of this page drains, and says no more")
            return
        await anyio.sleep(LEAST)
        with anyio.move_on_after(LOOK - LEAST):
            await anext(changes, None)


@attrs.define
class Follower:
    """What somebody who follows has been told."""

    view: View
    _summary: Any = None
    _components: dict[int, _Told] = attrs.field(factory=dict[int, "_Told"])

    def news(self, status: Status, now: float) -> dict[str, Any]:
        """Write what has changed since the last time; nothing if nothing has.

        Args:
            status: how the system stands.
            now: the time of that, in seconds on any clock.

        """
        parts: dict[str, str] = {}
        told = _Told.of_system(status, now)
        if not told.is_as(self._summary):
            self._summary = told
            parts.update(self.view.summary(status))
        held = self.view.held(status)
        changed: list[int] = []
        for number, name in enumerate(self.view.graph.names):
            one = _Told.of_component(status.components[name], held[name], now)
            if not one.is_as(self._components.get(number)):
                self._components[number] = one
                changed.append(number)
        parts.update(self.view.components(status, changed))
        if not parts:
            return {}
        return {
            "parts": parts,
            "title": self.view.title(status),
            "icon": icon(headline(status).tone),
            "spoken": self.view.spoken(status),
        }


@attrs.frozen
class _Told:
    """What was told: what it was, and the moments from which the page counts on by itself."""

    what: object
    moments: tuple[float, ...]

    def is_as(self, other: _Told | None) -> bool:
        """Whether there is nothing new in this."""
        return (
            other is not None
            and self.what == other.what
            and len(self.moments) == len(other.moments)
            and all(
                abs(one - before) < _SAME
                for one, before in zip(self.moments, other.moments, strict=True)
            )
        )

    @classmethod
    def of_component(cls, component: ComponentStatus, in_flight: int, now: float) -> _Told:
        """What is told of a component."""
        checks = tuple(map(_timeless, component.checks))
        what = attrs.evolve(component, since=0.0, time_left=None, checks=checks)
        moments = [now - component.since, *(now - check.age for check in component.checks)]
        if component.time_left is not None:
            moments.append(now + component.time_left)
        return cls((what, in_flight), tuple(moments))

    @classmethod
    def of_system(cls, status: Status, now: float) -> _Told:
        """What is told of the system as a whole."""
        # Which components are how is in the summary, too, but not since when.
        states = tuple(
            (one.state, one.unavailable, one.error, all(check.ok for check in one.checks))
            for one in status.components.values()
        )
        work = tuple((one.what, one.component) for one in status.in_flight)
        moments = [now - one.age for one in status.in_flight]
        if status.time_left is not None:
            moments.append(now + status.time_left)
        what = (status.phase, status.ready, status.reason, status.outcome, states, work)
        return cls(what, tuple(moments))


def _timeless(check: CheckResult) -> CheckResult:
    return attrs.evolve(check, age=0.0, duration=0.0)


def _is_over(status: Status) -> bool:
    return status.outcome is not None or status.phase is Phase.CLOSED


def _is_served_by(system: System) -> bool:
    """Whether a component of the system runs the code that calls."""
    try:
        return Lifetime.current().system is system
    except LookupError:
        return False


def _event(kind: str, data: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
