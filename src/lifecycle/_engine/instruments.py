"""What is around the hooks of a system: for tests that bend them, and for what traces them."""

from __future__ import annotations

import contextlib
import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import attrs

from lifecycle._record import Shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextlib import AbstractContextManager

    from lifecycle._engine.calling import InThread
    from lifecycle._engine.system import System


@attrs.frozen(eq=False, repr=False)
class HookCall(Shown):
    """One call of a hook."""

    system: System
    component: str
    hook: Literal["start", "run", "drain", "stop", "check"]
    """A generator's part up to its yield is its start, what follows its stop. A service, or a main,
    has one call, its run."""
    attempt: int = 1
    """The number of the attempt, from 1; of a start that is retried."""
    in_thread: InThread | None = None
    """How the hook is called if it is sync code: in the component's own thread. Of calls in one and
    the same thread these are equal."""
    spans: bool = False
    """Whether a task group may be held open from here to the component's stop, or to the end of its
    run: it is an async generator, a service or a main."""


class Instrument:
    """Something around the hooks of all systems that are entered where it is in force.

    To be subclassed; what is not overridden does nothing.
    """

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Call a hook; runs in the component's own task, on the time of the hook.

        Args:
            call: what is called.
            proceed: calls it; its result is to be returned.

        """
        del call
        return await proceed()

    def working(self, component: str) -> AbstractContextManager[object]:
        """Be entered while sync code of a component works in a thread, which looks idle to a loop.

        Args:
            component: whose it is.

        """
        del component
        return contextlib.nullcontext()

    def waiting(self) -> AbstractContextManager[object]:
        """Be entered while a thread only waits, in `Gate.wait_in_thread`.

        On the loop, in a copy of the thread's context: to the moment that decides it.
        """
        return contextlib.nullcontext()


_in_force: ContextVar[tuple[Instrument, ...]] = ContextVar("lifecycle_instruments", default=())


def refuse(taker: str, instrument: object) -> None:
    """Refuse what is no instrument: no hook could be called through it.

    Args:
        taker: what it was passed to.
        instrument: what was passed.

    Raises:
        TypeError: it is none.

    """
    if not isinstance(instrument, Instrument):
        message = f"{taker} takes an Instrument, and {instrument!r} is none"
        if isinstance(instrument, type) and issubclass(instrument, Instrument):
            message += f": make one, {instrument.__name__}(…)"
        raise TypeError(message)


def instrumented(instrument: Instrument) -> AbstractContextManager[None]:
    """Put an instrument around the hooks of every system that is entered within.

    That is, every ``async with running(…)`` and every ``run`` that begins in this context. They
    nest: what is put around later is nearer to the hook.

    Args:
        instrument: what is put around them. Whatever it does, a stop is called.

    Raises:
        TypeError: it is none.

    """
    refuse("instrumented()", instrument)
    return _in_force_of(instrument)


@contextlib.contextmanager
def _in_force_of(instrument: Instrument) -> Generator[None]:
    token = _in_force.set((*_in_force.get(), instrument))
    try:
        yield
    finally:
        _in_force.reset(token)


def _around(
    instrument: Instrument, call: HookCall, proceed: Callable[[], Awaitable[Any]]
) -> Awaitable[Any]:
    return instrument.around(call, proceed)


async def _around_stop(
    instrument: Instrument, call: HookCall, proceed: Callable[[], Awaitable[Any]]
) -> Any:
    """Put an instrument around a stop, which is called whatever that does.

    So are the instruments further in: they may hold something open as well.
    """
    is_called = False

    async def noted() -> Any:
        nonlocal is_called
        is_called = True
        return await proceed()

    try:
        result = await instrument.around(call, noted)
    except GeneratorExit:
        raise  # nothing can be awaited any more
    except BaseException:
        if not is_called:
            await proceed()
        raise
    return result if is_called else await proceed()


class Instruments:
    """All instruments of one system."""

    def __init__(self) -> None:
        """Take those that are in force here."""
        self._all = _in_force.get()

    def add(self, instrument: Instrument) -> None:
        """Put one more around the hooks that are called from here on."""
        self._all = (*self._all, instrument)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._all)

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Call a hook, within all of them."""
        around = _around_stop if call.hook == "stop" else _around
        for instrument in reversed(self._all):
            proceed = functools.partial(around, instrument, call, proceed)
        return await proceed()

    @contextlib.contextmanager
    def working(self, component: str) -> Generator[None]:
        """Let them know that sync code works in a thread."""
        with contextlib.ExitStack() as entered:
            for instrument in self._all:
                entered.enter_context(instrument.working(component))
            yield

    @contextlib.contextmanager
    def waiting(self) -> Generator[None]:
        """Let them know that a thread waits at a gate."""
        with contextlib.ExitStack() as entered:
            for instrument in self._all:
                entered.enter_context(instrument.waiting())
            yield
