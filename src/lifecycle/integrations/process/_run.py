"""One run of a program, from its start until nothing is left of it."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

import anyio

from lifecycle.integrations.process._ears import Ears
from lifecycle.integrations.process._errors import ProcessError
from lifecycle.processes import TERM_GRACE, LastLines, how_it_ended, name_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from lifecycle.integrations.process._program import Program
    from lifecycle.integrations.process._ready import Watch
    from lifecycle.processes import GuardedGroup, Stream

_KILLED_BY_SHELL = 128  # and the signal: how shells, and many other programs, say it
_SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)

_IN_THE_BACKGROUND = (
    "; a program that puts itself into the background has to be told to stay in the foreground"
)
_OUT_OF_MEMORY = " by somebody else (the kernel does that where memory runs out)"


class Run:
    """A program that was started."""

    def __init__(
        self, program: Program, group: GuardedGroup, ears: Ears, watch: Watch, last: LastLines
    ) -> None:
        """Made by :func:`running`."""
        self.group = group
        self._program = program
        self._ears = ears
        self._watch = watch
        self._last = last
        self._sent: list[int] = []
        self.grace = TERM_GRACE
        """How long it has after SIGTERM, in seconds, when it is left."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.group.pid

    async def ready(self) -> None:
        """Return when it is ready.

        Raises:
            ProcessError: it could not be started, or has ended.

        """
        await self._program.launched(self.group)
        if not await self._before_its_end(self._watch.wait):
            await self._ears.end()
            done = how_it_ended(self.group.returncode)
            hint = _IN_THE_BACKGROUND if self.group.returncode == 0 else ""
            waited = f", which waited for {self._watch.awaited}" if self._watch.awaited else ""
            raise self.error(f"it {done} before it was ready{waited}{hint}")

    async def wait(self) -> None:
        """Return when it has ended, and everything that it has written was read."""
        await self.group.wait()
        await self._ears.end()

    def ask(self) -> None:
        """Ask it to stop, by its own signal."""
        self._send(self._program.stop_signal, to_all=self._program.signal_all)

    def terminate(self) -> None:
        """Ask it, and all that it has started, by SIGTERM."""
        self._send(signal.SIGTERM, to_all=True)

    def kill(self) -> None:
        """Kill it, and all that it has started."""
        self._send(_SIGKILL, to_all=True)

    def _send(self, number: int, *, to_all: bool) -> None:
        self._sent.append(number)
        self.group.send_signal(number, to_all=to_all)

    def not_ready(self, reason: str) -> ProcessError:
        """Say that it did not become ready."""
        waited = f": it waited for {self._watch.awaited}" if self._watch.awaited else ""
        return self.error(f"{reason}{waited}")

    def unwanted_end(self) -> ProcessError:
        """Say how it has ended, where nobody had asked it to."""
        code = self.group.returncode
        by_whom = _OUT_OF_MEMORY if code == -_SIGKILL else ""
        hint = _IN_THE_BACKGROUND if code == 0 else ""
        return self.error(f"it {how_it_ended(code)}{by_whom}, and was to run{hint}")

    def asked_end(self) -> ProcessError | None:
        """Say what is wrong with how it has ended, where it was asked to; None: nothing."""
        code = self.group.returncode
        asked = " and ".join(dict.fromkeys(name_of(number) for number in self._sent[:-1]))
        if self._sent and self._sent[-1] == _SIGKILL and code == -_SIGKILL:
            return self.error(f"it went on after {asked}, and was killed")
        if code is None or code in self._program.success or self._is_by(code):
            return None
        asked = " and ".join(dict.fromkeys(name_of(number) for number in self._sent))
        return self.error(f"it {how_it_ended(code)} when it was asked to stop, by {asked}")

    def _is_by(self, code: int) -> bool:
        """Whether that is how a program ends by a signal that was sent."""
        return -code in self._sent or code - _KILLED_BY_SHELL in self._sent

    def error(self, problem: str) -> ProcessError:
        """Say what has happened, with what it wrote last."""
        return ProcessError(f"{problem}{self._last.quote()}", self.group.returncode)

    async def _before_its_end(self, wait: Callable[[], Awaitable[None]]) -> bool:
        """Wait for something, but not longer than it runs; says whether that has come."""
        error: Exception | None = None
        is_done = False
        async with anyio.create_task_group() as tasks:

            async def end() -> None:
                await self.group.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(end, name="lifecycle: process ends")
            try:
                await wait()
                is_done = True
            except Exception as raised:  # noqa: BLE001  raised again below, and not in a group
                error = raised
            tasks.cancel_scope.cancel()
        if error is not None:
            raise error
        return is_done


@contextlib.asynccontextmanager
async def running(
    program: Program,
    name: str,
    tell: Callable[[int, Stream, Sequence[str]], None],
    *,
    is_alone: bool,
) -> AsyncGenerator[Run]:
    """Run a program; at the end nothing is left of it.

    Args:
        program: what to run.
        name: that of the component.
        tell: called with the id of its process, and lines that it writes, in a thread.
        is_alone: whether there is only one of its kind, which is then the only one that may answer
            where it is waited for.

    Raises:
        ProcessError: it could not be started.

    """
    last = LastLines()
    with contextlib.closing(program.ready.watch()) as watch:
        if is_alone:
            await watch.before()

        def hear(stream: Stream, lines: Sequence[str]) -> None:
            last.add(stream, *lines)
            watch.heard(stream, lines)
            tell(group.pid, stream, lines)

        ears = Ears(f"lifecycle {name}: output", hear, watch.sources)
        with contextlib.closing(ears):
            group = program.begin(watch.env, ears.stdout, ears.stderr)
            run = Run(program, group, ears, watch, last)
            try:
                ears.begin()
                yield run
            finally:
                if not group.ended:
                    await group.terminate(run.grace)
                await ears.end()
