"""The connections of a server that keeps them to itself, found among the process's descriptors."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DESCRIPTORS: Final = Path("/dev/fd")
_ANY: Final = ("0.0.0.0", "::")  # noqa: S104  nothing is bound here


def shut_connections_to(addresses: Iterable[tuple[str, int]]) -> None:
    """Shut down the connections that clients have made to some addresses of this process.

    Each descriptor is looked at, and shut down, by a duplicate: whatever others do meanwhile, no
    other connection is hit.
    """
    ours = set(addresses)
    anywhere = {port for host, port in ours if host in _ANY}
    for one in _sockets():
        with one, contextlib.suppress(OSError):
            one.getpeername()
            host, port = one.getsockname()[:2]
            if (host, port) in ours or port in anywhere:
                one.shutdown(socket.SHUT_RDWR)


def _sockets() -> Iterator[socket.socket]:
    """Give a duplicate of each TCP socket of the process; who takes it closes it."""
    names = [path.name for path in _DESCRIPTORS.iterdir()] if _DESCRIPTORS.is_dir() else []
    for name in names:
        with contextlib.suppress(OSError):
            descriptor = os.dup(int(name))
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                one = socket.socket(fileno=descriptor)
                if one.family in (socket.AF_INET, socket.AF_INET6):
                    yield one
                else:
                    one.close()
            else:
                os.close(descriptor)
