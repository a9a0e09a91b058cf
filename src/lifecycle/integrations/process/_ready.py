"""When a program counts as ready."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.processes import Stream

    Source = tuple[int, Callable[[], bool]]
    """A descriptor, and what is called when it can be read; False: it has ended."""


class Watch:
    """One wait, for one run of a program. Made before that begins."""

    @property
    def awaited(self) -> str:
        """What it waits for, in words; nothing where it does not."""
        return ""

    @property
    def env(self) -> Mapping[str, str]:
        """Variables for the program."""
        return {}

    @property
    def sources(self) -> tuple[Source, ...]:
        """What is read beside the program's output, in the same thread."""
        return ()

    async def before(self) -> None:
        """Look, before the program is started, whether the answer would mean anything.

        Raises:
            ProcessError: it would not.

        """

    def heard(self, stream: Stream, lines: Sequence[str]) -> None:
        """Told the lines that the program writes, in a thread."""

    async def wait(self) -> None:
        """Return when the program is ready."""
        await anyio.lowlevel.checkpoint()

    def close(self) -> None:
        """The program has ended."""


class Ready(abc.ABC):
    """When a program counts as ready: made by the functions of this package."""

    @abc.abstractmethod
    def watch(self) -> Watch:
        """Begin to watch a program that is about to be started."""


class AtOnce(Ready):
    """As soon as it runs."""

    def watch(self) -> Watch:
        """There is nothing to wait for."""
        return Watch()
