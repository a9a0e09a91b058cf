"""How a run went as a whole, and the code that its process ends with."""

from __future__ import annotations

import attrs

from lifecycle.states import ExitCode, Outcome


@attrs.define
class Verdict:
    """What is known so far of how a run went; the outcome and the code follow from it."""

    start_failed: bool = False
    """A component, companion or preflight check failed before anything else did."""
    crashed: bool = False
    """A component crashed before anyone asked for a shutdown."""
    incomplete: bool = False
    """Work was cut off, a hook failed or was abandoned."""
    interrupted: bool = False
    """A KeyboardInterrupt was raised into a hook or the body."""
    forced_by: int | None = None
    """The number of the signal that forced the end."""
    asked_code: int = 0
    """The first code other than 0 that someone asked for."""
    preflight_code: int | None = None
    """The code of the preflight command that failed, the first in the order of registration."""

    @property
    def outcome(self) -> Outcome:
        """The one word for it."""
        if self.forced_by is not None:
            return Outcome.FORCED
        if self.start_failed:
            return Outcome.START_FAILED
        if self.crashed:
            return Outcome.CRASHED
        return Outcome.INCOMPLETE if self.incomplete else Outcome.CLEAN

    @property
    def exit_code(self) -> int:
        """The first of the codes, in order of precedence, that applies."""
        codes = {
            Outcome.START_FAILED: ExitCode.UNAVAILABLE,
            Outcome.CRASHED: ExitCode.CRASHED,
            Outcome.INCOMPLETE: ExitCode.INCOMPLETE,
        }
        if self.forced_by is not None:
            return 128 + self.forced_by
        if self.interrupted:
            return 130
        if self.asked_code:
            return self.asked_code
        if self.preflight_code is not None:
            return self.preflight_code
        return int(codes.get(self.outcome, ExitCode.OK))
