"""What is run, and how: checked when it is declared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from lifecycle.errors import DefinitionError
from lifecycle.integrations.process._errors import ProcessError
from lifecycle.processes import GuardedGroup, LaunchError, why_not_executed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.integrations.process._ready import Ready

_OURS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")
"""What a program must not inherit: it would speak to systemd in the name of this process."""


@attrs.frozen(kw_only=True)
class Program:
    """A program, and how it is run."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Environment variables for it, beside those of this process."""
    cwd: Path | None
    user: str | int | None
    ready: Ready
    stop_signal: int
    signal_all: bool
    success: frozenset[int]

    @property
    def name(self) -> str:
        """What it is called where there is no component."""
        return Path(self.argv[0]).name

    def begin(self, env: Mapping[str, str], stdout: int, stderr: int) -> GuardedGroup:
        """Begin to start it.

        Args:
            env: further variables.
            stdout: where it writes.
            stderr: likewise.

        Raises:
            ProcessError: it cannot be started.

        """
        variables = self._variables(env)
        try:
            return GuardedGroup(
                self.argv,
                env=variables,
                cwd=self.cwd,
                user=self.user,
                stdout=stdout,
                stderr=stderr,
            )
        except LookupError as error:
            message = f"there is no user {self.user!r} to run it as"
            raise ProcessError(message) from error
        except OSError as error:
            raise self._not_started("exec", error) from error

    async def launched(self, group: GuardedGroup) -> None:
        """Wait until it runs.

        Raises:
            ProcessError: it cannot be started.

        """
        try:
            await group.launched()
        except LaunchError as error:
            await group.wait()
            raise self._not_started(error.step, error) from error

    def _variables(self, env: Mapping[str, str]) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if name not in _OURS}
        return {**ours, **self.env, **env}

    def _not_started(self, step: str, error: OSError) -> ProcessError:
        said = error.strerror or str(error)
        plain = OSError(error.errno, said)  # of the class that belongs to the number
        if step == "guard":
            return ProcessError(f"no process could be started for it: {said}")
        if step == "user":
            reason = "only root may change the user" if os.geteuid() else said
            return ProcessError(f"it cannot be run as user {self.user!r}: {reason}")
        if step == "cwd":
            if isinstance(plain, FileNotFoundError):
                return ProcessError(f"there is no directory {self.cwd} to run it in")
            return ProcessError(f"it cannot be run in {self.cwd}: {said}")
        reason, _ = why_not_executed(plain, self.argv[0], self._variables({}), self.cwd)
        return ProcessError(reason)


def demand_argv(argv: object) -> tuple[str, ...]:
    """Take a list of arguments.

    Raises:
        DefinitionError: it is none.

    """
    if isinstance(argv, (str, bytes)):
        problem = (
            f"process takes a list of arguments, not {argv!r}; there is no shell: "
            '["sh", "-c", "…"] is one'
        )
        raise DefinitionError(problem)
    given: Any = argv
    words: tuple[Any, ...] = tuple(given) if issubclass(type(given), (list, tuple)) else ()
    good = all(isinstance(word, (str, os.PathLike)) for word in words)
    if not words or not good or not os.fspath(words[0]):
        problem = f"process takes a list of texts and paths, not {argv!r}"
        raise DefinitionError(problem)
    texts = tuple(os.fsdecode(word) for word in words)
    if any("\0" in text for text in texts):
        problem = f"no argument of a program can hold a null character: {texts!r}"
        raise DefinitionError(problem)
    return texts
