"""What a hook can ask and say about the component that it belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from typing_extensions import TypeVar as DefaultTypeVar

from lifecycle._engine import streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from lifecycle._engine.host import Host
    from lifecycle._engine.system import System

V_contra = DefaultTypeVar("V_contra", contravariant=True, default=None)
T = TypeVar("T")

current: ContextVar[Lifetime[Any] | None] = ContextVar("lifecycle_lifetime", default=None)


class Lifetime(Generic[V_contra]):
    """The life of one component, as seen from within.

    A function's first parameter without a default is given it; :meth:`current` is the same inside
    any hook. What is not async may be called from any thread.
    """

    def __init__(self, host: Host) -> None:
        """Made by the engine, one for each component."""
        self._host = host

    @staticmethod
    def current() -> Lifetime[Any]:
        """The lifetime of the component whose hook is running.

        Raises:
            LookupError: no hook is.

        """
        lifetime = current.get()
        if lifetime is None:
            message = "no hook of a component is running here, so there is no current Lifetime"
            raise LookupError(message)
        return lifetime

    @property
    def name(self) -> str:
        """The name of the component."""
        return self._host.node.name

    @property
    def system(self) -> System:
        """The system that the component belongs to."""
        return self._host.engine.system

    # --- a service says where it stands --------------------------------------------------------

    @overload
    def started(self: Lifetime[None], /) -> None: ...
    @overload
    def started(self, value: V_contra, /) -> None: ...
    def started(self, value: Any = None, /) -> None:
        """Say that the service is ready from here on, and what its value is.

        Raises:
            RuntimeError: it said so before, or is no service: what starts by a hook is ready when
                that has ended.

        """
        self._host.say_started(value)

    @property
    def draining(self) -> bool:
        """Whether the component is to take no new work."""
        return self._host.draining.is_set

    async def wait_draining(self) -> None:
        """Return when the component is to take no new work."""
        await self._host.draining.wait()

    def until_draining(self, source: AsyncIterable[T]) -> AsyncIterator[T]:
        """Iterate over a source until the component is to take no new work.

        It ends between two items: what is done with one is never interrupted.

        Each item is waited for in a cancel scope. So a generator that keeps one of its own, or a
        task group, open from one item to the next cannot be the source: have it send into a memory
        object stream, and iterate over that.
        """
        return streams.Until(self._host.draining, source)

    async def sleep(self, seconds: float) -> bool:
        """Sleep for some seconds, at most until the component is to drain.

        Returns:
            Whether it slept to the end: ``while await life.sleep(30): …``.

        """
        return await streams.sleep_unless(self._host.draining, seconds)

    async def wait_stopping(self) -> None:
        """Return when it is time to stop: everything that uses the component has ended.

        A service that waits for this in its own task counts as drained from then on.
        """
        await self._host.wait_stopping()

    # --- work and time -------------------------------------------------------------------------

    def hold(
        self, what: str, /, *, on_cut: Callable[[], object] | None = None
    ) -> AbstractContextManager[None, None]:
        """Mark a piece of work of this component as in flight: its drain waits for it.

        Args:
            what: what it is, for reports.
            on_cut: called, on the loop, when the time to drain is over, in place of a cancellation:
                for work that ends elsewhere than it began, in a callback, say, or that runs in a
                thread. Such a hold may be left in another task or thread than it was entered in;
                without it, a hold that was entered in a task must be left in that task.

        Raises:
            ClosedError: at the beginning of the ``with``: the drain is over, and no work is taken
                any more.
            WorkCancelledError: at the end of the ``with``, where the time to drain ran out first.

        """
        return self._host.engine.in_flight.hold(what, self._host.node.index, on_cut)

    @property
    def time_left(self) -> float:
        """How many seconds the hook now running has left; infinite where none is, or no limit."""
        return self._host.time_left

    def extend(self, seconds: float) -> None:
        """Give the hook now running more time.

        It moves the hook's own timeout. The grace period stays what it is.

        Args:
            seconds: how many more.

        Raises:
            ValueError: that is no number of seconds, 0 or more.

        """
        self._host.extend(seconds)

    # --- rotation ------------------------------------------------------------------------------

    def unavailable(self, reason: str) -> None:
        """Take the service out of rotation, and keep it running: a broker is lost, say.

        The component's state and gate stay what they are.

        Args:
            reason: why, for people; of anything else, an error say, its text is taken.

        """
        self._host.engine.rotation.note(self._host.node.index, reason)

    def available(self) -> None:
        """Take the service back into rotation."""
        self._host.engine.rotation.note(self._host.node.index, None)

    @property
    def shutdown_reason(self) -> str | None:
        """Why the system shuts down, once it does."""
        return self._host.engine.shutdown.reason

    def __repr__(self) -> str:
        """Name the component."""
        return f"<Lifetime of {self.name!r}>"
