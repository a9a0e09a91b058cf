"""The check that a command passes."""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import anyio
import anyio.lowlevel
import attrs

from lifecycle.errors import DefinitionError, PreflightError, seconds
from lifecycle.preflight._checks import demand_timeout, is_path, is_text, short
from lifecycle.processes import LONGEST_END, LastLines, ProcessGroup, how_it_ended, why_not_executed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.processes import Stream

logger = logging.getLogger("lifecycle.preflight")

# The exit codes that shells give to what they cannot run, and to what a signal has killed.
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127
_KILLED = 128
_LAST_CODE = 255


@attrs.frozen(eq=False)
class CommandPasses:
    """That a command ends with exit code 0."""

    name: str
    argv: tuple[str, ...]
    timeout: float
    """How long it may take, in seconds."""
    fail_on_error: bool
    """Whether its failure is one of the check, rather than a warning."""
    env: Mapping[str, str]
    """Environment variables for it, beside those of this process."""
    cwd: Path | None
    user: str | int | None
    unwinds_in: ClassVar[float] = LONGEST_END
    """How long it takes to end, at most, once a shutdown was asked for, in seconds."""

    async def __call__(self) -> None:
        """Run it.

        Raises:
            PreflightError: It has failed, and `fail_on_error` is set; with its exit code.
        """
        try:
            await self._run()
        except PreflightError as error:
            if self.fail_on_error:
                raise
            message = "tolerated, since fail_on_error is False: %s"
            logger.warning(message, error, extra={"check": self.name})

    async def _run(self) -> None:
        await anyio.lowlevel.checkpoint_if_cancelled()
        output = _Output(self.name)
        group = self._start(output)
        with anyio.move_on_after(self.timeout) as limit:
            await group.run()
        if limit.cancelled_caught:
            done = f"had not ended after {seconds(self.timeout)}, and was killed"
            raise PreflightError(
                self.name, f"it {done}, with all that it had started{output.quote()}"
            )
        if group.returncode != 0:
            done, code = _describe(group.returncode)
            raise PreflightError(self.name, f"it {done}{output.quote()}", code)

    def _start(self, output: _Output) -> ProcessGroup:
        if self.cwd is not None and not self.cwd.is_dir():
            raise PreflightError(self.name, f"there is no directory {self.cwd} to run it in")
        env = {**os.environ, **self.env}
        try:
            return ProcessGroup(self.argv, env=env, cwd=self.cwd, user=self.user, tell=output.add)
        except LookupError as error:
            raise PreflightError(self.name, str(error)) from error
        except OSError as error:
            raise self._not_started(error, env) from error

    def _not_started(self, error: OSError, env: Mapping[str, str]) -> PreflightError:
        program = self.argv[0]
        if isinstance(error, PermissionError) and error.filename != program and self.user:
            reason = f"it cannot be run as user {self.user!r}: only root may change the user"
            return PreflightError(self.name, reason)
        reason, is_there = why_not_executed(error, program, env, self.cwd)
        return PreflightError(self.name, reason, _NOT_EXECUTABLE if is_there else _NOT_FOUND)


class _Output:
    """What a command writes: logged as it comes, the last of it kept."""

    def __init__(self, check: str) -> None:
        self._check = check
        self._last = LastLines()
        self.quote = self._last.quote

    def add(self, stream: Stream, line: str) -> None:
        self._last.add(stream, line)
        extra = {"check": self._check, "stream": stream}
        logger.info("%s: %s", self._check, line, extra=extra)


def _describe(returncode: int | None) -> tuple[str, int | None]:
    """Say how a command ended, and which exit code follows."""
    done = how_it_ended(returncode)
    if returncode is None:
        return done, None
    if returncode < 0:
        return done, _KILLED - returncode
    # Windows has codes such as 0xC0000005, which cannot be passed on.
    return done, returncode if returncode <= _LAST_CODE else None


def command(  # noqa: PLR0913  what there is to say of a command
    argv: Sequence[str | os.PathLike[str]],
    *,
    timeout: float = 60,
    fail_on_error: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    user: str | int | None = None,
    name: str | None = None,
) -> CommandPasses:
    """Check that a command ends with exit code 0.

    It runs in a session of its own and without stdin; what it writes is logged, line by line as it
    comes, to the logger ``lifecycle.preflight``. When it ends, whatever it has started and left
    behind is killed. When it takes too long, or a shutdown is asked for, it and all that it has
    started get SIGTERM, and SIGKILL 2 s later.

    The error of a failed command has its exit code, which becomes that of the program: 128 + N
    where signal N killed it, 126 where it could not be executed, 127 where it was not found. One
    that took too long has none.

    Args:
        argv: The command and its arguments; there is no shell (``["sh", "-c", "…"]`` is one).
        timeout: How long it may take, in seconds.
        fail_on_error: Whether its failure is one of the check; with False it is only logged, as a
            warning.
        env: Environment variables for it, beside those of this process, and before them.
        cwd: Its working directory.
        user: The name or the number of the user that it runs as, with that user's groups. Another
            one than this process's needs root.
        name: What it is called in errors and logs; by default the command itself.

    Raises:
        DefinitionError: An argument cannot be used.
    """
    given: object = argv
    if isinstance(given, (str, bytes)):
        text = os.fsdecode(given)
        problem = f"preflight.command takes a list, not the string {text!r}: write {_split(text)!r}"
        raise DefinitionError(problem)
    if not argv or not is_path(argv[0]) or not all(is_path(word) or word == "" for word in argv):
        problem = f"preflight.command takes a list of texts and paths, not {argv!r}"
        raise DefinitionError(problem)
    demand_timeout("command", timeout)
    variables = dict(env or {})
    if not all(is_text(word) for item in variables.items() for word in item):
        problem = f"preflight.command: env maps names to texts, {env!r} does not"
        raise DefinitionError(problem)
    texts = tuple(os.fspath(word) for word in argv)
    return CommandPasses(
        name=name or short(shlex.join(texts)),
        argv=texts,
        timeout=float(timeout),
        fail_on_error=fail_on_error,
        env=variables,
        cwd=None if cwd is None else Path(cwd),
        user=user,
    )


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote
        return text.split()
