"""Whom the process belongs to in which a system is a guest, and what can be said to him."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    import uvicorn

_logger = logging.getLogger("lifecycle.integrations.guest")

# uvicorn raises what its handler was told once more, at its very end, when it has put back the
# handlers of the two signals that it takes. So whoever has a handler for a third one has the last
# word.
_LAST_WORD = getattr(signal, "SIGQUIT", None)


class Owner:
    """Somebody that nothing is known of: a test, say, or a loop of the user's own."""

    takes_signals = False
    """Whether signals are ours to take, and to be passed on later."""
    ends_process = False
    """Whether the process may be ended for the system's sake."""

    @property
    def is_ending(self) -> bool:
        """Whether he ends already."""
        return False

    def stop(self, received: Sequence[int]) -> bool:
        """Tell him to end.

        Args:
            received: the signals that have come, which he would have got.

        Returns:
            Whether he does.

        """
        del received
        return False

    def leave_with(self, code: int) -> bool:
        """Have the process end with an exit code when he ends.

        Returns:
            Whether it will.

        """
        del code
        return False

    def introduce(self) -> None:
        """Say what can be expected of him, for the log."""


class Worker(Owner):
    """A server that nothing can be said to, in a process that it has started for its app."""

    ends_process = True

    def introduce(self) -> None:
        """Say that he is deaf."""
        _logger.warning(
            "this server cannot be told to wait: at SIGTERM it ends without a drain delay. Let "
            "`lifecycle drain` come first, as a preStop hook does, or serve the app inside the "
            "system, by a server of lifecycle.integrations"
        )


class Uvicorn(Owner):
    """uvicorn, alone, as one of its workers, or under gunicorn."""

    takes_signals = True
    ends_process = True

    def __init__(self, server: uvicorn.Server) -> None:
        """Be a guest of a server."""
        self._server = server

    @property
    def is_ending(self) -> bool:
        return self._server.should_exit

    def stop(self, received: Sequence[int]) -> bool:
        ours = [number for number in received if number in (signal.SIGTERM, signal.SIGINT)]
        if ours and not self._server.should_exit:
            self._server.handle_exit(ours[0], None)
        self._server.should_exit = True
        return True

    def leave_with(self, code: int) -> bool:
        if _LAST_WORD is None:  # pragma: no cover  Windows
            return False
        before = signal.getsignal(_LAST_WORD)

        def leave(number: int, frame: FrameType | None) -> NoReturn:
            del frame
            signal.signal(number, before)
            raise SystemExit(code)

        signal.signal(_LAST_WORD, leave)
        self._server.handle_exit(_LAST_WORD, None)
        return True


def owner_of_process() -> Owner:
    """Find out whom the process belongs to, in the task that runs the lifespan of an app."""
    if threading.current_thread() is not threading.main_thread():
        return Owner()
    server: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    # Where nobody has imported it, it does not run here.
    module: Any = sys.modules.get("uvicorn")
    if module is not None and isinstance(server, module.Server):
        return Uvicorn(server)
    return Worker() if _has_parent() else Owner()


def _has_parent() -> bool:
    """Whether this process was started by `multiprocessing`."""
    module: Any = sys.modules.get("multiprocessing")
    return module is not None and module.parent_process() is not None
