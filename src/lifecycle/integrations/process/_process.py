"""Programs as an object with a life, for ``add`` and ``build``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import anyio

from lifecycle.errors import add_note
from lifecycle.integrations._beside import beside
from lifecycle.integrations._living import Living
from lifecycle.integrations._living import owner as current_owner
from lifecycle.integrations.process._errors import ProcessError
from lifecycle.integrations.process._log import Log
from lifecycle.integrations.process._restarts import Restarts
from lifecycle.integrations.process._worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from lifecycle import Lifetime, Retry
    from lifecycle.integrations.process._program import Program

_STOP: Final = 10.0
"""How long a stop may take where nothing limits it, in seconds."""
_RESERVE: Final = 3.0
"""How much of the time to stop is kept for SIGTERM and SIGKILL, in seconds; at most half of it."""


class Process(Living):
    """One program, or several of a kind: an async context manager with a ``drain``.

    Entered, it starts the programs, and waits until they are ready; that raises a
    :class:`ProcessError` where one could not be started, or has ended. Left, it ends what is left:
    by its stop signal, by SIGTERM, by SIGKILL; cancelled, at once.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        drains: bool,
        restart: Retry | None,
        restart_period: float,
    ) -> None:
        """Made by :func:`process` and :func:`pool`."""
        super().__init__()
        self._programs = programs
        self._drains = drains
        self._restart = restart
        self._restart_period = restart_period
        self._workers: Sequence[Worker] = ()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of what runs, and is ready."""
        return tuple(one.run.pid for one in self._workers if one.is_up and one.run is not None)

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            RuntimeError: nothing runs, or several do.

        """
        pids = self.pids
        if len(pids) != 1:
            message = f"{self!r} has {len(pids)} processes, and not one"
            raise RuntimeError(message)
        return pids[0]

    @property
    def restarted(self) -> int:
        """How often something was started again."""
        return sum(worker.restarted for worker in self._workers)

    def send_signal(self, number: int) -> None:
        """Send a signal to the programs that run, such as SIGHUP, for them to read their files.

        Args:
            number: the signal. To stop them, ask the system to shut down instead.

        """
        for worker in self._workers:
            if worker.is_up and worker.run is not None:
                worker.run.group.send_signal(number, to_all=False)

    async def drain(self) -> None:
        """Ask the programs to stop, and wait until they have ended.

        Raises:
            ProcessError: one did not end as it should.

        """
        if not self._drains:
            return
        await self._ask_all()
        self._complain()

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncGenerator[None]:
        owner = current_owner()
        name = self._programs[0].name if owner is None else owner.name
        start_timeout = float("inf") if owner is None else owner.time_left
        running = anyio.CancelScope()
        crashes: list[Exception] = []
        news = _News()

        def changed(worker: Worker) -> None:
            if not news.is_over:
                news.tell()
            elif worker.is_asked:
                return
            elif worker.over.is_set():
                crashes.append(worker.failure or ProcessError("it has ended"))
                running.cancel()
            elif owner is not None:
                self._tell_whether_available(owner)

        log = Log()
        self._workers = tuple(
            self._worker(name, number, log, changed, start_timeout)
            for number in range(len(self._programs))
        )
        async with log.living(name), beside(self._run, f"lifecycle: {name}"):
            await self._started(owner, news)
            try:
                with running:
                    yield
                if crashes:
                    raise crashes[0]
            finally:
                await self._end(_time_left(owner))
            self._complain()

    def _worker(
        self,
        name: str,
        number: int,
        log: Log,
        changed: Callable[[Worker], None],
        start_timeout: float,
    ) -> Worker:
        return Worker(
            name,
            self._programs[number],
            None if self._restart is None else Restarts(self._restart, self._restart_period),
            log,
            changed,
            number=number if len(self._programs) > 1 else None,
            start_timeout=start_timeout,
        )

    async def _run(self) -> None:
        async with anyio.create_task_group() as tasks:
            for worker in self._workers:
                tasks.start_soon(worker.live, name=f"lifecycle: {worker.name}")

    async def _started(self, owner: Lifetime[Any] | None, news: _News) -> None:
        try:
            await self._all_up(news)
        except anyio.get_cancelled_exc_class():
            # The workers are cancelled as well, and end what they have begun.
            if owner is None or owner.time_left > 0 or (late := self._late()) is None:
                raise
            raise late from None  # its time is over: that is known, and this is what it waited for
        except Exception:
            await self._end(_time_left(owner))
            raise
        news.is_over = True

    async def _all_up(self, news: _News) -> None:
        while not all(worker.is_up for worker in self._workers):
            for worker in self._workers:
                if worker.over.is_set():
                    raise worker.failure or ProcessError("it has ended")
            await news.wait()

    def _late(self) -> ProcessError | None:
        """Say why it is not ready yet."""
        for worker in self._workers:
            run = worker.run or worker.unready  # it may have been cancelled before this
            if run is not None and not worker.is_up:
                return run.not_ready("it runs, and is not ready")
        return None

    def _tell_whether_available(self, owner: Lifetime[Any]) -> None:
        if any(worker.is_up for worker in self._workers):
            owner.available()
        else:
            owner.unavailable("it has ended, and is started again")

    async def _ask_all(self) -> None:
        for worker in self._workers:
            worker.ask()
        for worker in self._workers:
            await worker.over.wait()

    async def _end(self, left: float) -> None:
        """End what runs, within the time that there is."""
        reserve = min(_RESERVE, left / 2)
        if not all(worker.is_asked for worker in self._workers):
            with anyio.move_on_after(left - reserve):
                await self._ask_all()
        for step, share in ((Worker.terminate, reserve * 0.6), (Worker.kill, reserve * 0.3)):
            for worker in self._workers:
                if not worker.over.is_set():
                    step(worker)
            with anyio.move_on_after(share):
                await self._ask_all()

    def _complain(self) -> None:
        """Raise what was wrong with an end, once."""
        failures = [worker for worker in self._workers if worker.failure is not None]
        found = [(worker.name, worker.failure) for worker in failures]
        for worker in failures:
            worker.failure = None
        if not found:
            return
        first = found[0][1]
        assert first is not None  # noqa: S101  looked for above
        for name, other in found[1:]:
            add_note(first, f"{name}: {other}")
        raise first

    def __repr__(self) -> str:
        many = f"{len(self._programs)} of " if len(self._programs) > 1 else ""
        return f"<Process: {many}{self._programs[0].name}>"


class _News:
    """Tells one task that something has changed during the start."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.is_over = False
        """Whether the start is."""

    def tell(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = anyio.Event()


def _time_left(owner: Lifetime[Any] | None) -> float:
    return _STOP if owner is None else min(owner.time_left, _STOP)
