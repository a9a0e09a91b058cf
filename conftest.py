"""What holds for all tests: no file leaves a thread to the next, and no signal is ignored.

It runs the Python in README.md, too.
"""

from __future__ import annotations

import gc
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sybil import Sybil
from sybil.example import SybilFailure
from sybil.parsers.markdown import PythonCodeBlockParser

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["README.md"]).pytest()

pytest_plugins = ["pytester"]  # only the root may ask for it

POOLS = ("AnyIO worker thread", "Trio thread", "asyncio_")
"""How the names of threads begin that are kept for whoever needs one next."""

POLLER = "(_poll_wrapper)"
"""How the name of gRPC's own ends, which lives as long as anything of gRPC's does."""

LONG = 60.0
"""How many seconds a thread has to end that was asked to, on a machine with much else to do."""


def pytest_configure() -> None:
    """Let no program inherit that pytest itself was told to ignore some signals.

    `nohup` does that with SIGHUP, and a shell script with SIGINT and SIGQUIT of what it runs in the
    background. What a program under test does about a signal is for the test to say.
    """
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, usual)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Wait, after the last test of a file, for the threads that its tests have started.

    One that goes on is taken by tests of virtual time for somebody who may still end a wait.
    """
    result = yield
    if (nextitem is None or nextitem.path != item.path) and threads():
        gc.collect()  # some end with the last object that uses them
        deadline = time.monotonic() + LONG
        for thread in threads():
            thread.join(deadline - time.monotonic())
        if left := threads():
            message = f"{item.path.name} has left threads behind: {left}"
            example = getattr(item, "example", None)
            # Sybil looks for its own frames in the traceback of anything but its own failure.
            raise SybilFailure(example, message) if example else AssertionError(message)
    return result


def threads() -> list[threading.Thread]:
    """All threads but the main one, and those of pools."""
    return [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
        and not thread.name.startswith(POOLS)
        and not thread.name.endswith(POLLER)
        and not isinstance(thread, threading._DummyThread)  # noqa: SLF001  pytest-xdist's own
    ]
