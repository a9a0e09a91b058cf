"""Ready when a file is there, or when a function of the user's has returned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from lifecycle.errors import DefinitionError
from lifecycle.integrations.process._knocking import PAUSES
from lifecycle.integrations.process._ready import Ready, Watch

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable

    Mark = tuple[int, int, int] | None
    """What tells a file from the one that was there before."""


@attrs.frozen
class File(Ready):
    """A file that is made, or written, by the program."""

    path: Path

    def watch(self) -> Watch:
        """Begin to watch."""
        return _Looking(self.path)


class _Looking(Watch):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = _mark(path)
        left = " anew: it is left from an earlier run" if self._before else ""
        self._awaited = f"the file {path} to be written{left}"

    @property
    def awaited(self) -> str:
        return self._awaited

    async def wait(self) -> None:
        # Only Linux tells when files change, and not of directories that are still to be made, nor
        # on every file system. A look costs some microseconds.
        for pause in PAUSES.delays():
            found = _mark(self._path)
            if found is not None and found != self._before:
                return
            await anyio.sleep(pause)


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def file(path: str | os.PathLike[str]) -> Ready:
    """Ready when the program has made a file, such as a pid file.

    Args:
        path: where it is. One that is there before the program starts has to change.

    """
    return File(Path(path))


@attrs.frozen
class When(Ready):
    """A function of the user's."""

    function: Callable[[], Awaitable[object]]

    def watch(self) -> Watch:
        """Begin to watch."""
        return _Calling(self.function)


class _Calling(Watch):
    def __init__(self, function: Callable[[], Awaitable[object]]) -> None:
        self._function = function

    @property
    def awaited(self) -> str:
        name = getattr(self._function, "__qualname__", None) or repr(self._function)
        return f"{name}() to return"

    async def wait(self) -> None:
        await self._function()


def when(function: Callable[[], Awaitable[object]]) -> Ready:
    """Ready when an async function has returned, which is called when the program runs.

    Args:
        function: takes no arguments. What it raises fails the start.

    Raises:
        DefinitionError: it cannot be called.

    """
    given: Any = function
    if not callable(given):
        problem = f"process.when takes an async function, not {given!r}"
        raise DefinitionError(problem)
    return When(function)
