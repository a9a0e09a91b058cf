"""Ending this process at once, whatever else is going on in it, with all that it has started.

It lies apart from :mod:`lifecycle.processes`, so that who starts no programs does not load what
starts them.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.processes.group import ProcessGroup

FLUSH = 0.5
"""How long stdio and log handlers have to flush before the process ends, in seconds."""
LAST_WORDS = 1.0
"""How long it may take to say why the process is ended, in seconds."""

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


def say_why(explain: Callable[[], str]) -> None:
    """Write to stderr why the process is ended, and where each thread is; from any thread.

    That takes 1 s at most: stderr may be what is stuck, a pipe that nobody reads.

    Args:
        explain: what to say to a person.

    """
    says = threading.Thread(target=_say_why, args=(explain,), name="lifecycle: why", daemon=True)
    try:
        says.start()
    except RuntimeError:  # no thread is to be had: at the very end, say
        _say_why(explain)
    else:
        says.join(LAST_WORDS)


def _say_why(explain: Callable[[], str]) -> None:
    with contextlib.suppress(Exception):  # there may be none
        sys.stderr.write(explain())
        sys.stderr.flush()
        _write_all_threads()


def _write_all_threads() -> None:
    """Write where each thread is.

    By way of a file in memory, where there can be one: as long as faulthandler writes to stderr
    itself, nobody else runs, and that may be for ever.
    """
    try:
        descriptor = os.memfd_create("threads")
    except (AttributeError, OSError):  # another system; no descriptor is left, or it is forbidden
        faulthandler.dump_traceback(all_threads=True)
        return
    with open(descriptor, "w+", errors="replace") as file:  # noqa: PTH123  a descriptor
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        sys.stderr.write(file.read())
        sys.stderr.flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(Exception):
        logging.shutdown()
