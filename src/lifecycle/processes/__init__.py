"""Programs that die with this one: each in a session of its own, with everything that it starts."""

from __future__ import annotations

from lifecycle.processes.group import LONGEST_END, TERM_GRACE, ProcessGroup
from lifecycle.processes.guarded import GuardedGroup, LaunchError
from lifecycle.processes.output import Lines, Stream
from lifecycle.processes.words import LastLines, how_it_ended, name_of, why_not_executed

__all__ = [
    "LONGEST_END",
    "TERM_GRACE",
    "GuardedGroup",
    "LastLines",
    "LaunchError",
    "Lines",
    "ProcessGroup",
    "Stream",
    "how_it_ended",
    "name_of",
    "why_not_executed",
]
