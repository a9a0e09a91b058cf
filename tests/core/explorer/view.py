"""What a legal engine knows of one run: what it was told, and what it has said.

The invariants are checked against this view and not against the machine's own memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle._core.outcome import Verdict
from lifecycle.states import Phase

if TYPE_CHECKING:
    from tests.core.explorer.graphs import Graph

SYSTEM = -1
"""Who holds what belongs to no component: the last place in `View.holds`."""

# How far one component has come.
IDLE, STARTING, CANCELLED, EXPIRED, READY, GONE, SKIPPED = "-scxrgk"
"""Its start: not begun, runs, was cancelled, ran out of time, ended well, ended otherwise."""
HOOK, ENDED, DRAINED = "hed"
"""Its drain: the hook runs, the hook has ended, all of it is over."""
STOPPING, STOPPED = "sd"

UNDER_WAY = frozenset({STARTING, CANCELLED, EXPIRED})
UNSETTLED = frozenset({IDLE, STARTING})

# Where the body of `running` stands.
NONE, RUNS, WAITS, OVER = "-bwo"

# What was cut has a moment to end, and is then written off.
NOT_CUT, CUT, WRITTEN_OFF = range(3)

STARTS = frozenset({Phase.PREFLIGHT, Phase.STARTING})
RUNNING = frozenset({Phase.RUNNING, Phase.DELAYING})
DRAINS = frozenset({Phase.DRAINING, Phase.ROLLING_BACK})


class View:
    """One run, as the engine sees it."""

    def __init__(self, graph: Graph) -> None:
        """Nothing has been said."""
        size = graph.size
        self.graph = graph
        # Of each component.
        self.start = [IDLE] * size
        self.drain = [IDLE] * size
        self.stop = [IDLE] * size
        self.failed = [False] * size
        self.crashed = [False] * size
        self.timed_out = [False] * size
        self.cut_hook = [False] * size
        self.drains_in_stop = [False] * size
        self.blame: list[int | None] = [None] * size
        """For what was skipped: because of whom."""
        self.hook_goes_on = [False] * size
        """Whether the drain hook runs on, of what has crashed and is waited for no longer."""
        # Of each component, and of the system.
        self.holds = [0] * (size + 1)
        self.cut_holds = [0] * (size + 1)
        self.cut = [NOT_CUT] * (size + 1)
        # Of all.
        self.phase = Phase.PREFLIGHT
        self.began = False
        self.ran = False
        self.over = False
        self.forced = False
        self.closing = False
        self.settled = False
        self.body = NONE
        self.body_in_flight = False
        self.body_was_cut = False
        self.body_was_cancelled = False
        self.body_was_given_up = False
        self.awaits_body = False
        # How it goes: what the report will say, and what it ought to.
        self.verdict = Verdict()
        self.began_by: str | None = None
        """What began the end: `asked`, `failed` or `crashed`."""
        self.lost = False
        """Whether, after that, anything was cut off or crashed."""

    @property
    def everyone(self) -> range:
        """All components."""
        return range(self.graph.size)

    @property
    def asked(self) -> bool:
        """Whether the end has been asked for, or brought about."""
        return self.began_by is not None

    @property
    def winds_down(self) -> bool:
        """Whether the drain has begun and the close has not."""
        return self.phase in DRAINS and not self.closing

    @property
    def body_is_there(self) -> bool:
        """Whether the body has begun and not ended."""
        return self.body in (RUNS, WAITS)

    def is_alive(self, who: int) -> bool:
        """Whether it became ready and has not been stopped."""
        return self.start[who] == READY and self.stop[who] != STOPPED

    def is_under_way(self, who: int) -> bool:
        """Whether its start hook runs, be it cancelled."""
        return self.start[who] in UNDER_WAY

    def has_drained(self, who: int) -> bool:
        """Whether nothing of it is left that what it uses would have to drain after."""
        start = self.start[who]
        return self.drain[who] == DRAINED if start == READY else start not in UNDER_WAY

    def has_ended(self, who: int) -> bool:
        """Whether nothing of it is left that what it uses would have to stop after."""
        return not self.is_under_way(who) and not self.is_alive(who)

    def all_drained(self) -> bool:
        """Whether all that became ready have drained; a start may still unwind."""
        return all(self.start[who] != READY or self.has_drained(who) for who in self.everyone)

    def in_flight(self) -> bool:
        """Whether work, or the body, is in flight."""
        return self.body_in_flight or any(self.holds)
