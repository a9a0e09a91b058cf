"""One place at which a program runs, and is started again when it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from lifecycle.errors import seconds
from lifecycle.integrations.process._errors import ProcessError
from lifecycle.integrations.process._run import running
from lifecycle.processes import how_it_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle.integrations.process._log import Log
    from lifecycle.integrations.process._program import Program
    from lifecycle.integrations.process._restarts import Restarts
    from lifecycle.integrations.process._run import Run
    from lifecycle.processes import Stream


class Worker:
    """A program that runs as long as the component does."""

    def __init__(  # noqa: PLR0913  what there is to say of it
        self,
        name: str,
        program: Program,
        restarts: Restarts | None,
        log: Log,
        changed: Callable[[Worker], None],
        *,
        number: int | None = None,
        start_timeout: float,
    ) -> None:
        """Prepare it; :meth:`live` runs it.

        Args:
            name: that of the component.
            program: what runs.
            restarts: how it is started again; None: it is not.
            log: where to write.
            changed: told whenever it is up, or is not any more, or has failed.
            number: which of several it is.
            start_timeout: within which time it has to be ready when it is started again.

        """
        self.name = name if number is None else f"{name}.{number}"
        self.logger = logging.getLogger(f"lifecycle.process.{self.name}")
        self.is_up = False
        """Whether it runs, and is ready."""
        self.has_been_up = False
        self.failure: Exception | None = None
        """Why it did not start, does not run any more, or did not end as it should."""
        self.restarted = 0
        """How often it was started again."""
        self.over = anyio.Event()
        self.run: Run | None = None
        """The run that goes on."""
        self.unready: Run | None = None
        """One that was cancelled before it was ready."""
        self.is_asked = False
        """Whether it was asked to stop."""
        self._program = program
        self._restarts = restarts
        self._log = log
        self._changed = changed
        self._is_alone = number is None
        self._extra: dict[str, object] = {"component": name, "worker": number}
        self._start_timeout = start_timeout
        self._asked = anyio.Event()

    def ask(self) -> None:
        """Ask it to stop, once."""
        if not self.is_asked:
            self.is_asked = True
            self._asked.set()
            if self.run is not None:
                self.run.ask()

    def terminate(self) -> None:
        """Ask it, and all that it has started, by SIGTERM."""
        if self.run is not None:
            self.run.terminate()

    def kill(self) -> None:
        """Kill it, and all that it has started."""
        if self.run is not None:
            message = "%s goes on when it was asked to stop, and is killed"
            self._log.say(self.logger, logging.WARNING, message, self.name)
            self.run.kill()

    async def live(self) -> None:
        """Run until it is asked to stop, or fails."""
        try:
            await self._live()
        except Exception as error:  # noqa: BLE001  told in the task of the component
            self.failure = error
        finally:
            self.over.set()
            self._changed(self)

    async def _live(self) -> None:
        limit = float("inf")
        while True:
            try:
                await self._run_once(limit)
            except ProcessError as error:
                pause = None
                if self.has_been_up and not self.is_asked:
                    pause = self._pause(error)
                if pause is None:
                    raise
            else:
                return  # it was asked to stop
            self._changed(self)
            with anyio.move_on_after(pause):
                await self._asked.wait()
                return
            limit = self._start_timeout
            self.restarted += 1

    def _pause(self, error: ProcessError) -> float | None:
        """Give the pause before it is started again; None: it is not."""
        if self._restarts is None:
            return None
        pause = self._restarts.pause(anyio.current_time(), error)
        if pause is None:
            if self._restarts:
                again = f"{self._restarts}, and is not any more"
                error.problem = f"it was started again {again}: {error.problem}"
            return None
        again = f"started again in {seconds(pause)}"
        self._log.say(self.logger, logging.WARNING, "%s: %s; %s", self.name, error, again)
        return pause

    async def _run_once(self, limit: float) -> None:
        """Run the program; ends when that was asked to.

        Raises:
            ProcessError: it could not be started, has ended by itself, or not as it should.

        """
        async with running(self._program, self.name, self._hear, is_alone=self._is_alone) as run:
            self.run = run
            try:
                await self._run(run, limit)
            except anyio.get_cancelled_exc_class():
                if not self.is_up:
                    self.unready = run
                raise
            finally:
                self.run, self.is_up = None, False
                if self.is_asked:
                    run.grace = 0

    async def _run(self, run: Run, limit: float) -> None:
        if self.is_asked:  # just before it was started
            run.ask()
        try:
            with anyio.move_on_after(limit) as scope:
                await run.ready()
            if scope.cancelled_caught:
                raise run.not_ready(f"it was not ready again after {seconds(limit)}")
        except ProcessError:
            if not self.is_asked or run.asked_end() is not None:
                raise
            return
        self.is_up = self.has_been_up = True
        self._log.say(self.logger, logging.INFO, "%s runs as process %d", self.name, run.pid)
        self._changed(self)
        await run.wait()
        self.is_up = False
        error = run.asked_end() if self.is_asked else run.unwanted_end()
        if error is not None:
            raise error
        done = how_it_ended(run.group.returncode)
        self._log.say(self.logger, logging.INFO, "%s %s", self.name, done)

    def _hear(self, pid: int, stream: Stream, lines: Sequence[str]) -> None:
        extra = {**self._extra, "pid": pid, "stream": stream}
        self._log.lines(self.logger, lines, level=logging.INFO, extra=extra)
