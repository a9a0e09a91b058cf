"""Ending this process at once, whatever else is going on in it, with all that it has started.

It lies apart from :mod:`lifecycle.processes`, so that who starts no programs does not load what
starts them.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from lifecycle.processes.group import ProcessGroup

FLUSH = 0.5
"""How long stdio and log handlers have to flush before the process ends, in seconds."""

# By process id. Looked at by the watchdog's thread and by signal handlers, so there can be no lock:
# a handler would wait for ever for the very code that it interrupts. Single operations on a dict
# are atomic.
alive: dict[int, ProcessGroup] = {}

if hasattr(os, "register_at_fork"):
    # They are the parent's to kill.
    os.register_at_fork(after_in_child=alive.clear)


def kill_all() -> None:
    """Kill every group that has been started and has not ended.

    May be called from any thread, and in signal handlers. It waits for nothing.
    """
    for group in alive.copy().values():
        group.kill()


# For a program that ends in a way that lets no `finally` run.
atexit.register(kill_all)


def end_process(code: int) -> NoReturn:
    """End this process, and every process group that it started.

    No ``finally`` runs, and no ``atexit``. Standard output and log handlers are flushed, for at
    most 0.5 s. From any thread.

    Args:
        code: the exit code, from 0 to 255.

    """
    with contextlib.suppress(Exception):
        kill_all()
    # Handlers may wait for locks that a stuck thread owns: the flush gets a thread, and a limit.
    flush = threading.Thread(target=_flush, daemon=True)
    with contextlib.suppress(RuntimeError):  # there is no other thread to be had: at the very end
        flush.start()
        flush.join(FLUSH)
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(Exception):
        logging.shutdown()
