"""A system that lives as long as the lifespan of an app that somebody else serves."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from lifecycle import Lifetime, Settings, System, console
from lifecycle.ending import end_process
from lifecycle.errors import ClosedError
from lifecycle.integrations._beside import beside
from lifecycle.integrations.guest._owner import Owner, owner_of_process
from lifecycle.integrations.guest._part import Part
from lifecycle.overseer import Overseer
from lifecycle.signals import Handling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from lifecycle import Registry
    from lifecycle.asgi import ASGIApp
    from lifecycle.events import Observer

    Companion = Callable[[System], AbstractAsyncContextManager[Any]]

_LAST_SECOND = 1.0
"""How long a server that was told to end is waited for when everything else has ended."""


@attrs.frozen
class Stay:
    """What an app has of the system that it lives in."""

    system: System
    state: dict[str, Any]
    """What the app's own lifespan has put there."""
    around: Callable[[ASGIApp], ASGIApp]
    """Put around the app, it sees to its calls."""


@contextlib.asynccontextmanager
async def living(  # noqa: PLR0913  what a run takes, and what it is beside
    app: ASGIApp,
    registry: Registry,
    settings: Settings | None = None,
    *,
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
    lifespan: bool = False,
) -> AsyncGenerator[Stay]:
    """Run a system for as long as the lifespan of an app lasts; for frameworks.

    Args:
        app: the app that is served.
        registry: what to run.
        settings: the numbers; by default ``Settings.from_env()``.
        companions: what accompanies the system, as for :func:`lifecycle.running`.
        observers: what is told every event.
        lifespan: whether the app has a lifespan of its own, to be run inside.

    Raises:
        DefinitionError: what was declared, or a setting, cannot work.
        RunError: it did not start; or, where the process is not ours to end, what went wrong.
        ClosedError: it was asked to end before the start was over.

    """
    host = _hosting(registry)
    if host is not None:
        yield Stay(host, {}, _as_it_is)  # its server sees to the calls
        return
    owner = owner_of_process()
    with contextlib.ExitStack() as around:
        settings = Settings.from_env() if settings is None else settings
        if owner.ends_process:
            around.enter_context(console.ShortLines(logging.getLogger("lifecycle")))
        handling = None
        if owner.takes_signals:
            handling = around.enter_context(Handling(settings.signals))
        overseer = around.enter_context(
            Overseer(settings, handling, owns_process=owner.ends_process)
        )
        part = Part(owner, overseer, app, lifespan=lifespan)
        owner.introduce()
        before = (_ends_at_once,) if owner.is_ending else ()
        visit = _Visit(
            owner,
            overseer,
            part,
            overseer.running(part.declared(registry), (*before, *companions), observers),
        )
        async with beside(visit.run, "lifecycle: guest"):
            try:
                system = await visit.started()
                yield Stay(system, part.state, part.around)
            finally:
                await visit.end()
        visit.tell()  # not after the watchdog: where nobody reads stderr, this is written for ever
    visit.leave()


@contextlib.asynccontextmanager
async def _ends_at_once(system: System) -> AsyncGenerator[None]:
    system.shut_down("the server was asked to end before this began")
    yield


def _as_it_is(app: ASGIApp) -> ASGIApp:
    return app


def _hosting(registry: Registry) -> System | None:
    """Find the system that serves the app, where that runs what the registry declares."""
    try:
        system = Lifetime.current().system
    except LookupError:
        return None
    known = system.plan.index_of
    return system if any(handle in known for handle in registry.plan().index_of) else None


class _Visit:
    """One run of a system, in a task beside that of the lifespan."""

    def __init__(
        self,
        owner: Owner,
        overseer: Overseer,
        part: Part,
        running: AbstractAsyncContextManager[System],
    ) -> None:
        self._owner = owner
        self._overseer = overseer
        self._part = part
        self._running = running
        self._started = False
        self._error: BaseException | None = None
        self._is_up = anyio.Event()
        self._staying = anyio.CancelScope()

    async def run(self) -> None:
        """From the first start to the last stop; a failure is told where the lifespan ends."""
        try:
            async with self._running as system:
                self._started = True
                self._is_up.set()
                with self._staying:
                    await system.closed()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  raised in the task of the lifespan
            self._error = error
        finally:
            self._is_up.set()
        if self._started and not self._part.gone.is_set():
            await self._outlive()

    async def started(self) -> System:
        """Wait until the system runs, or has ended since it was asked to.

        Raises:
            RunError: it did not start.

        """
        await self._is_up.wait()
        if self._error is None or self._ends_with_the_server():
            assert self._overseer.system is not None  # noqa: S101  it has begun
            return self._overseer.system
        error, self._error = self._error, None  # raised here, and not once more at the end
        report = self._overseer.report
        if self._owner.ends_process and report is not None:
            console.say(console.account(report))
        raise error

    async def end(self) -> None:
        """The server has ended: it is the system's turn."""
        self._part.gone.set()
        if self._overseer.system is not None:
            self._overseer.system.shut_down("the server has ended")
        self._staying.cancel()

    def tell(self) -> None:
        """Say how it ended, where that was not well, and the process is ours to end."""
        report = self._overseer.report
        if self._owner.ends_process and report is not None and report.exit_code:
            console.say(console.account(report))

    def leave(self) -> None:
        """Everything has ended: see that the process ends as it should, too.

        The server is ending, and does so as it would without us: what the app has around this is
        left in order.

        Raises:
            RunError: the process is not ours to end.

        """
        report = self._overseer.report
        if self._owner.ends_process and report is not None and report.exit_code:
            if not self._owner.leave_with(report.exit_code) and self._part.was_told:
                # It ends since it was told to by us, and would do so with 0.
                end_process(report.exit_code)
        elif self._error is not None and not isinstance(self._error, ClosedError):
            raise self._error

    def _ends_with_the_server(self) -> bool:
        """Whether it was asked to end during its start, and the server does the same.

        To fail would be taken for a start that failed: gunicorn halts for that.
        """
        received = self._overseer.received
        return isinstance(self._error, ClosedError) and self._owner.stop(received)

    async def _outlive(self) -> None:
        """The system has ended, and the server has not: nobody is there to be served."""
        if self._part.was_told:
            with anyio.move_on_after(_LAST_SECOND):
                await self._part.gone.wait()
        report = self._overseer.report
        if not self._part.gone.is_set() and report is not None:
            self._overseer.end_process(report)
