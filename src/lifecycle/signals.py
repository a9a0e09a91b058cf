"""Signals: which ones a program takes, and whom they reach.

:func:`lifecycle.run` does this by itself. Around an embedded system::

    with signals.handling() as handling:
        async with lifecycle.running(shop) as system:
            handling.attach(system)
            await system.closed()

What a signal asks for is in ``Settings.signals``. A handler flips readiness, fixes the deadline and
wakes the loop; it waits for nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from lifecycle._engine.loop import woken_by_signals
from lifecycle.settings import DEFAULT_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType, TracebackType

    from lifecycle._engine.system import System

__all__ = ["Handling", "handling"]

# Signal handlers belong to the process, and so does the list of who asked for them. Handlers run in
# the main thread, between two instructions of whatever that does: no lock can help here.
_active: list[Handling] = []


class Handling:
    """Takes signals from when it is entered until it is left, and tells the systems attached.

    Those that arrive before a system is attached are kept for it. The previous handlers are put
    back at the end, and in a forked child at once. Of several that end in any order, each takes
    signals until its own end.
    """

    def __init__(self, numbers: Iterable[int] = DEFAULT_SIGNALS) -> None:
        """Name the signals; by default SIGTERM, SIGQUIT and SIGINT."""
        self._numbers = tuple(dict.fromkeys(numbers))
        self._previous: dict[int, Any] = {}
        self._systems: list[System] = []
        self._while_attached = contextlib.ExitStack()
        self._early: list[tuple[int, float]] = []
        self.on_signal: Callable[[int], object] | None = None
        """Told each signal first, in the handler."""
        self.on_last: Callable[[int], object] | None = None
        """Told the signal at which the process is to end at once."""

    def __enter__(self) -> Self:
        """Install the handlers."""
        if threading.current_thread() is not threading.main_thread():
            message = "signals reach only the main thread: this system is told of none"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
            return self
        if self in _active:
            message = "these handlers are installed already: each `handling(…)` is entered once"
            raise RuntimeError(message)
        outer = list(_active)
        _active.append(self)
        try:
            for number in self._numbers:
                self._previous[number] = signal.signal(number, _handle)
        except BaseException:  # one that cannot be taken: the others are not taken, either
            self.leave()
            raise
        for other in outer:
            # What arrived while the program was still being imported is for us. What arrives right
            # now may be taken twice, which is no harm: duplicates change nothing.
            self._early[:0] = other._early  # noqa: SLF001  of the same class
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the previous handlers back."""
        self._while_attached.close()
        if self in _active:
            self.leave()

    def attach(self, system: System) -> None:
        """Let signals reach a system, those that came already first.

        Raises:
            RuntimeError: no event loop runs here: it is to be called on that of the system.

        """
        if not self._systems:
            self._while_attached.enter_context(woken_by_signals())
        self._systems.append(system)
        early, self._early = self._early, []
        for number, at in early:
            self._pass_on(system, number, ago=time.monotonic() - at)

    def detach(self, system: System) -> None:
        """Let signals reach it no longer.

        Raises:
            ValueError: it is not attached.

        """
        self._systems.remove(system)

    def take(self, number: int) -> None:
        """A signal has come. Runs in the handler."""
        if number not in self._numbers:
            return
        if self.on_signal is not None:
            self.on_signal(number)
        if not self._systems:
            self._early.append((number, time.monotonic()))
        for system in self._systems:
            self._pass_on(system, number, ago=0.0)

    def leave(self) -> None:
        """Put the previous handlers back, or leave that to who has taken the signals since."""
        later = [other._previous for other in _active[_active.index(self) + 1 :]]  # noqa: SLF001  of the same class
        for number, previous in self._previous.items():
            heir = next((other for other in later if number in other), None)
            if heir is None:
                with contextlib.suppress(TypeError, ValueError):  # None: it was not set from Python
                    signal.signal(number, previous)
            elif heir[number] is _handle:
                heir[number] = previous
        self._previous.clear()
        _active.remove(self)

    def _pass_on(self, system: System, number: int, ago: float) -> None:
        if system.signal(number, ago=ago) and self.on_last is not None:
            self.on_last(number)


def handling(numbers: Iterable[int] = DEFAULT_SIGNALS) -> Handling:
    """Take signals for the time of a ``with``, and tell the systems attached to it.

    Args:
        numbers: which ones; what each asks for stands in the settings of the system.

    Raises:
        OSError: from the ``with``, one of them cannot be taken, such as SIGKILL; none is then.
        ValueError: likewise, where there is no such signal.

    """
    return Handling(numbers)


def is_taken(number: int) -> bool:
    """Whether a signal is handled here, and by nobody else. May be called from any thread."""
    return signal.getsignal(number) is _handle


def _handle(number: int, frame: FrameType | None) -> None:
    del frame
    for one in tuple(_active):
        one.take(number)


def _restore_in_child() -> None:
    # A forked child with these handlers would report its SIGTERM to its parent's loop.
    while _active:
        _active[-1].leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restore_in_child)
