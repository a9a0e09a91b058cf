"""How the time of a shutdown is shared out.

``drain_delay`` + drain + close ≤ ``grace_period``; the close keeps its reserve whatever the drain
does, and no hook may use up what those after it need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._core.component import Node

UNWIND = 0.5
"""How long what was cancelled has to end before it is abandoned, in seconds."""

FORCED_STOP = 2.0
"""How long all stops together have once a shutdown was forced, in seconds."""

LAST_SECOND = 1.0
"""What a hook leaves to each one that has still to follow it, in seconds."""

LEAST = 0.1
"""What a hook gets in any case while there is time, in seconds: in a chain of very many, an equal
share would be shorter than it takes to wake a task."""

_MARGIN = 0.5
_MARGIN_SHARE = 0.1
_COMPANIONS = 1.0


def margin(grace_period: float) -> float:
    """How much earlier than the grace period everything is planned to end, in seconds."""
    return min(_MARGIN, grace_period * _MARGIN_SHARE)


@attrs.frozen
class Budget:
    """The deadlines of one shutdown, on the clock of the event loop."""

    end: float
    """When everything is to have ended."""
    stops_end: float
    """When the stop hooks are to have ended, so that the companions have their time."""
    drains_end: float
    """When what has not drained is cut off."""

    @classmethod
    def of(
        cls,
        *,
        asked_at: float,
        grace_period: float,
        close_reserve: float,
        companions: bool,
    ) -> Budget:
        """Share out a grace period that began at `asked_at`."""
        end = asked_at + grace_period - margin(grace_period)
        last = min(_COMPANIONS, close_reserve / 2) if companions else 0.0
        return cls(end=end, stops_end=end - last, drains_end=end - close_reserve)

    def ending_by(self, deadline: float, now: float) -> Budget:
        """The same, squeezed into a deadline that comes earlier."""
        if deadline >= self.end:
            return self
        scale = max(0.0, deadline - now) / max(self.end - now, 1e-9)
        return Budget(
            end=deadline,
            stops_end=now + max(0.0, self.stops_end - now) * scale,
            drains_end=now + max(0.0, self.drains_end - now) * scale,
        )


def hook_deadline(now: float, own: float, phase_end: float, followers: int) -> float:
    """When a hook that is called now is cancelled.

    Args:
        now: the time.
        own: the hook's own timeout, in seconds.
        phase_end: when all hooks of its kind are to have ended.
        followers: how many hooks have still to follow it, on its longest path.

    """
    left = max(0.0, phase_end - now)
    share = min(LAST_SECOND, left / (followers + 1))
    return now + min(own, max(left - followers * share, min(LEAST, left)))


def followers(nodes: Sequence[Node], has_hook: Sequence[bool]) -> list[int]:
    """For each component, how many hooks have to follow its own, on its longest path."""
    longest = [0] * len(nodes)
    if not any(has_hook):
        return longest
    for node in nodes:
        longest[node.index] = max((longest[d] + has_hook[d] for d in node.dependencies), default=0)
    return longest
