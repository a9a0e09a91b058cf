"""What goes wrong with a program."""

from __future__ import annotations


class ProcessError(Exception):
    """A program did not start, ended by itself, or did not end as it should.

    It is the cause of the component's `StartError`, `CrashedError` or `StopError`.
    """

    def __init__(self, problem: str, returncode: int | None = None) -> None:
        """Say what has happened."""
        super().__init__(problem, returncode)
        self.problem = problem
        """What has happened, with the last lines that the program wrote."""
        self.returncode = returncode
        """Its exit code, or minus the signal that killed it; None where it has none."""

    def __str__(self) -> str:
        """What has happened."""
        return self.problem
