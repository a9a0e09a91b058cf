"""Ports that nobody else is given between their choice and their use, nor over a restart."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def hold() -> socket.socket:
    """Bind a socket that never listens to a port that is free: who connects there is refused."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # On Linux two sockets may be bound to one port if both say this, and only one listens.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """Give a port that nobody listens at, and that nobody is given who does not ask for it."""
    with hold() as held:
        yield held.getsockname()[1]
