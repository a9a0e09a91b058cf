"""Where a task stands that waits: alike on asyncio and trio, by what coroutines show in public."""

from __future__ import annotations

import gc
import inspect
import linecache
import os
import sys
import sysconfig
import threading
import traceback
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_AWAITED = ("cr_await", "ag_await", "gi_yieldfrom")
_FRAMES = ("cr_frame", "ag_frame", "gi_frame")
_STEPS = ("async_generator_asend", "async_generator_athrow")
_DEEPEST = 1000
_POOLS = ("AnyIO worker thread", "Trio thread", "asyncio_", "lifecycle ")
"""How the names of threads begin that live on when they have nothing to do."""
_POLLER = "(_poll_wrapper)"
"""How the name of gRPC's thread ends, which lives until the last object that used it is collected.
A loop on which gRPC is in use is told of what it sees by a socket that the loop reads."""


@attrs.frozen
class Wait:
    """One task that waits."""

    task: str
    """Its name."""
    what: str
    """The function that it has called and waits in, such as ``Event.wait``."""
    where: str
    """Where it was called: the innermost place in code that is neither Python's own, anyio's,
    trio's nor ours."""

    def __str__(self) -> str:
        return f"'{self.task}' waits in {self.what}{self.where and f', at {self.where}'}"


def wait(task: str, coroutine: Any) -> Wait:
    """Tell where a task stands."""
    is_library = _Libraries()
    stack = list(_awaited(coroutine))
    below: list[tuple[str, FrameType]] = []
    while stack and is_library(stack[-1][-1]):
        below.insert(0, stack.pop())
    called = (below or stack)[:1]
    return Wait(task, called[0][0] if called else "nothing", _place(stack[-1:]))


def frames(coroutine: Any) -> list[FrameType]:
    """The frames of what a coroutine awaits, outermost first."""
    return [frame for _, frame in _awaited(coroutine)]


def _awaited(awaited: Any) -> Iterator[tuple[str, FrameType]]:
    for _ in range(_DEEPEST):
        if awaited is None:
            return
        if type(awaited).__name__ in _STEPS:
            # A step of an async generator: only the garbage collector knows of which.
            referents = gc.get_referents(awaited)
            awaited = next((one for one in referents if inspect.isasyncgen(one)), None)
            continue
        frame = _first(awaited, _FRAMES)
        if frame is not None:
            yield awaited.__qualname__, frame
        awaited = _first(awaited, _AWAITED)


def _first(thing: Any, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := getattr(thing, name, None))), None)


def _place(found: list[tuple[str, FrameType]]) -> str:
    for _, frame in found:
        code, line = frame.f_code, frame.f_lineno
        source = linecache.getline(code.co_filename, line).strip()
        place = f"{code.co_filename}:{line} in {code.co_name}"
        return f"{place}: {source}" if source else place
    return ""


# --- threads -------------------------------------------------------------------------------------


def lives_on(thread: threading.Thread) -> bool:
    """Whether it is one of those that live on when they have nothing to do."""
    return thread.name.startswith(_POOLS) or thread.name.endswith(_POLLER)


def others() -> list[threading.Thread]:
    """All threads but this one, and but those of pools, which live on when they are done."""
    here = threading.current_thread()
    return [
        thread for thread in threading.enumerate() if thread is not here and not lives_on(thread)
    ]


def threads() -> list[str]:
    """All threads but this one that are in anyone's code, each with its stack."""
    is_library = _Libraries()
    running = sys._current_frames()  # noqa: SLF001  documented  # pyright: ignore[reportPrivateUsage]
    found: list[str] = []
    for thread in threading.enumerate():
        frame = running.get(thread.ident or 0)
        if thread is threading.current_thread() or frame is None:
            continue
        stack = [one for one, _ in traceback.walk_stack(frame)]
        if all(map(is_library, stack)) and lives_on(thread):
            continue
        text = "".join(traceback.format_stack(frame))
        found.append(f"thread '{thread.name}':\n{text.rstrip()}")
    return found


class _Libraries:
    """Tells the code of libraries from that of users."""

    def __init__(self) -> None:
        packages = (sys.modules.get(name) for name in ("anyio", "trio", "lifecycle"))
        folders = [os.path.dirname(package.__file__ or "") for package in packages if package]  # noqa: PTH120  frames have paths as strings
        self._ours = tuple(folder + os.sep for folder in folders)
        self._pythons = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})

    def __call__(self, frame: FrameType) -> bool:
        """Whether a frame is of a library."""
        path = frame.f_code.co_filename
        is_pythons = path.startswith(self._pythons) and "site-packages" not in path
        return is_pythons or path.startswith((*self._ours, "<frozen "))
