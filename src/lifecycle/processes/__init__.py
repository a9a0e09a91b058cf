"""Programs that die with this one: each in a session of its own, with everything that it starts."""

from __future__ import annotations

from lifecycle.processes.ending import end_process
from lifecycle.processes.group import ProcessGroup, kill_all
from lifecycle.processes.output import Stream

__all__ = ["ProcessGroup", "Stream", "end_process", "kill_all"]
