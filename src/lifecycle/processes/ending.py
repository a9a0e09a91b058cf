"""Ending this process at once, whatever else is going on in it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from typing import NoReturn

from lifecycle.processes.group import kill_all

FLUSH = 0.5
"""How long stdio and log handlers have to flush before the process ends, in seconds."""


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
    flush.start()
    flush.join(FLUSH)
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(Exception):
        logging.shutdown()
