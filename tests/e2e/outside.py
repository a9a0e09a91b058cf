"""Being stuck outside of Python, where no signal handler is called."""

from __future__ import annotations

import ctypes


def wait_for_ever() -> None:
    """Wait in a library in C that goes on waiting after a signal."""
    library = ctypes.CDLL(None)
    mutex = ctypes.create_string_buffer(128)
    library.pthread_mutex_init(mutex, None)
    for _ in range(2):  # the second time is for ever
        library.pthread_mutex_lock(mutex)
