"""Where connections come in, also when the process has no file descriptor left."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.probes.crowd import Crowd

_logger = logging.getLogger(__name__)

BACKLOG: Final = 1024
"""How many connections may wait to be let in while the loop is busy. The kernel has a bound of its
own, ``net.core.somaxconn``: 4096 on Linux since 5.4, 128 before."""
BUFFER: Final = 64 * 1024
"""How much the kernel keeps in each direction of a connection, in bytes, as far as it listens to
that: by default it would keep up to 4 MiB for each client that asks and does not read."""
_FULL: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE: Final = 0.05
"""After how many seconds to try again, where the kernel does not say when it is worth it."""


class Door:
    """One socket that listens."""

    def __init__(
        self, listener: socket.socket, crowd: Crowd, admit: Callable[[socket.socket, str], None]
    ) -> None:
        """Open.

        Args:
            listener: is bound, and does not block.
            crowd: who is there.
            admit: takes a connection, and the host that it comes from.

        """
        # What is accepted inherits that.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._listener = listener
        self._crowd = crowd
        self._admit = admit
        self._was_full = False

    async def run(self) -> None:
        """Let in whoever comes."""
        while True:
            # Each time, also where more are known to wait: who came in has his turn before the
            # next one, and the service has its own. And without a descriptor to spare the kernel
            # does not say whether there is anybody at all.
            await anyio.wait_readable(self._listener)
            await self._crowd.has_place()
            try:
                self._let_in()
            except OSError as error:
                await self._overcome(error)

    def close(self) -> None:
        """Let in those who are at the door already, and nobody after them."""
        with contextlib.suppress(OSError):
            for _ in range(BACKLOG):
                if not self._let_in():
                    break
        self._listener.close()

    def _let_in(self) -> bool:
        """Let one in; say whether there was one."""
        try:
            connected, (host, *_) = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        connected.setblocking(False)  # noqa: FBT003  it has no other form
        self._admit(connected, host)
        return True

    async def _overcome(self, error: OSError) -> None:
        if error.errno not in _FULL:
            # Who came had left already, or Linux tells of an error on his way here.
            await anyio.sleep(_PAUSE)
        elif self._crowd.reserve.give_up():
            if not self._was_full:
                self._was_full = True
                _logger.warning("probes are answered with the last file descriptor: %s", error)
        else:
            with anyio.move_on_after(_PAUSE) as in_vain:
                await self._crowd.is_smaller(self._crowd.size)
            if in_vain.cancelled_caught:  # only then: the one who waits may be a probe just begun
                self._crowd.dismiss_one()
