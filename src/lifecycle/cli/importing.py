"""The time while the user's module is being imported: nothing runs yet, and signals count already.

An import may be stuck in a call that lets no handler run: a name server that does not answer.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NoReturn

from lifecycle import ExitCode
from lifecycle.ending import end_process, say_why
from lifecycle.listener import Listener

if TYPE_CHECKING:
    from types import TracebackType

    from lifecycle import Settings

_SPARE = 0.25  # how much earlier than the grace period the process is ended, at most


class Watch:
    """Ends the process when an import goes on for too long after the process was asked to end.

    That is: for the grace period, or until the third interrupt. It acts by itself only between its
    ``__enter__`` and its ``__exit__``; what arrives then is kept by others for the system.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listener = Listener(settings, on_asked=self._asked, on_last=_end_interrupted)
        time = settings.grace_period - min(_SPARE, settings.grace_period / 20)
        self._timer = threading.Timer(time, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> None:
        """Begin to watch."""
        self._listener.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The import is over."""
        self._listener.__exit__(kind, error, traceback)
        self._timer.cancel()

    def _asked(self) -> None:
        if self._settings.watchdog and self._timer.ident is None:
            self._timer.start()

    def _expire(self) -> NoReturn:
        grace_period = self._settings.grace_period
        say_why(
            lambda: (
                f"lifecycle: the grace period of {grace_period:g} s is over, and the module is "
                "still being imported. The process is ended now. All threads:\n"
            )
        )
        end_process(ExitCode.INCOMPLETE)


def _end_interrupted(number: int) -> NoReturn:
    end_process(128 + number)
