"""The time while the user's module is being imported: nothing runs yet, and signals count already.

An import may be stuck in a call that lets no handler run: a name server that does not answer.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, NoReturn

from lifecycle import ExitCode
from lifecycle.ending import end_process, say_why
from lifecycle.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Generator

    from lifecycle import Settings

_SPARE = 0.25  # how much earlier than the grace period the process is ended, at most


@contextlib.contextmanager
def watched(settings: Settings) -> Generator[None]:
    """End the process when an import goes on for too long after the process was asked to end.

    That is: for the grace period, or until the third interrupt. It acts by itself only within the
    ``with``; what arrives then is kept by others for the system.
    """
    grace_period = settings.grace_period
    time = grace_period - min(_SPARE, grace_period / 20)
    timer = threading.Timer(time, functools.partial(_expire, grace_period))
    timer.daemon = True

    def asked() -> None:
        if settings.watchdog and timer.ident is None:
            timer.start()

    try:
        with Listener(settings, on_asked=asked, on_last=_end_interrupted):
            yield
    finally:
        timer.cancel()


def _expire(grace_period: float) -> NoReturn:
    say_why(
        lambda: (
            f"lifecycle: the grace period of {grace_period:g} s is over, and the module is "
            "still being imported. The process is ended now. All threads:\n"
        )
    )
    end_process(ExitCode.INCOMPLETE)


def _end_interrupted(number: int) -> NoReturn:
    end_process(128 + number)
