"""Something that becomes true once, can be asked from anywhere, and can cut a wait short."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Generator

    from lifecycle._engine.loop import Loop


class Flag:
    """An event that costs nothing until somebody waits for it.

    Setting it belongs to the event loop's thread; asking may happen anywhere.
    """

    __slots__ = ("_loop", "_scopes", "is_set")

    def __init__(self, loop: Loop | None = None) -> None:
        """Begin as not set.

        Args:
            loop: for one that users wait for: the only loop where they can.

        """
        self.is_set = False
        self._loop = loop
        self._scopes: dict[anyio.CancelScope, None] | None = None  # in the order of their coming

    def set(self) -> None:
        """Make it true, and wake who waits: who came first is first."""
        self.is_set = True
        for scope in self._scopes or ():
            scope.cancel()

    @contextlib.contextmanager
    def cutting_short(self) -> Generator[None]:
        """Cancel what is awaited inside as soon as the flag is set, and go on behind it."""
        if self._loop is not None and not self.is_set:
            self._loop.refuse_others()
        scopes = self._scopes = self._scopes if self._scopes is not None else {}
        with anyio.CancelScope() as scope:
            if self.is_set:
                scope.cancel()
            scopes[scope] = None
            try:
                yield
            finally:
                del scopes[scope]

    async def wait(self) -> None:
        """Return once it is true."""
        with self.cutting_short():
            await anyio.sleep_forever()
