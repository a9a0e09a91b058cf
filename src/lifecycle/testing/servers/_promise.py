"""What a server has to keep, and how one sees whether it does."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import attrs

from lifecycle.testing.servers._stage import Stage, SurpriseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from lifecycle.testing.servers._stage import MakesServer

Backend: TypeAlias = Literal["asyncio", "uvloop", "trio"]
"""An event loop to run on."""


class PromiseNotKeptError(AssertionError):
    """A server does not keep a promise."""

    def __init__(self, promise: str, found: str, log: tuple[str, ...]) -> None:
        """Tell what was found."""
        super().__init__(promise, found, log)
        self.promise = promise
        self.found = found
        self.log = log
        """What the app, and the system, went through until then."""

    def __str__(self) -> str:
        lines = [self.promise, "", self.found, "", "until then:", *(f"  {one}" for one in self.log)]
        return "\n".join(lines)


@attrs.frozen
class Promise:
    """One promise of a server."""

    name: str
    says: str
    """What is promised, in a sentence or two."""
    _keeps: Callable[[Stage], Awaitable[None]] = attrs.field(repr=False)

    def check(
        self, server: MakesServer, *, backend: Backend = "asyncio", patience: float = 60
    ) -> None:
        """See whether a server keeps it.

        Args:
            server: makes the server: the function ``server`` of an integration, as it is.
            backend: on which event loop.
            patience: how long it may take at most, in seconds; what takes longer hangs.

        Raises:
            PromiseNotKeptError: it does not.

        """
        name = "trio" if backend == "trio" else "asyncio"
        options: dict[str, Any] = {"use_uvloop": True} if backend == "uvloop" else {}
        anyio.run(self._check, server, patience, backend=name, backend_options=options)

    async def _check(self, server: MakesServer, patience: float) -> None:
        stage = Stage(server)
        before = _tasks(), _sockets()
        found = f"it had not ended after {patience:g} s"
        with anyio.move_on_after(patience) as whole:
            try:
                await self._keeps(stage)
            except SurpriseError as surprise:
                raise PromiseNotKeptError(self.says, str(surprise), tuple(stage.log)) from None
            except Exception as error:
                found = f"it came to this: {type(error).__name__}: {error}".rstrip(": ")
                raise PromiseNotKeptError(self.says, found, tuple(stage.log)) from error
        if not whole.cancelled_caught:
            tasks, sockets = _tasks() - before[0], _sockets() - before[1]
            if not (tasks or sockets):
                return
            found = f"{len(tasks)} tasks and {len(sockets)} sockets are left behind: "
            found += ", ".join([*tasks, *sockets])
        raise PromiseNotKeptError(self.says, found, tuple(stage.log))

    def __str__(self) -> str:
        return self.name


def promises(*keeps: Callable[[Stage], Awaitable[None]]) -> tuple[Promise, ...]:
    """Make promises of functions that see whether they are kept; their docstrings say what."""
    return tuple(
        Promise(one.__name__, " ".join((inspect.getdoc(one) or "").split()), one) for one in keeps
    )


def _tasks() -> set[str]:
    """Name the tasks that run; on trio none is left behind, since nobody can."""
    try:
        return {repr(task) for task in asyncio.all_tasks()}
    except RuntimeError:
        return set()


def _sockets() -> set[str]:
    """Name the TCP sockets that are open, as far as the platform tells."""
    found: set[str] = set()
    folder = Path("/proc/self/fd")
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # that of the folder itself, and what is no socket
            duplicate = os.dup(int(path.name))
            try:
                one = socket.socket(fileno=duplicate)
            except OSError:
                os.close(duplicate)
                raise
            with one:
                if one.family in (socket.AF_INET, socket.AF_INET6):
                    found.add(f"{one.getsockname()}, inode {os.fstat(duplicate).st_ino}")
    return found
