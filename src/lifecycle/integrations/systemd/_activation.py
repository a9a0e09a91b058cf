"""Sockets that systemd has opened; see ``sd_listen_fds(3)``."""

from __future__ import annotations

import os
import socket

_FIRST = 3
"""The number of the first descriptor that is passed."""


def sockets(name: str | None = None) -> list[socket.socket]:
    """Give the sockets that systemd has opened for this process; none, where it has opened none.

    For a server in a service that has a ``.socket`` unit. Connections that come while the service
    is down wait for it, so that a restart refuses nobody::

        uvicorn.server(api, port=8000, sockets=systemd.sockets() or None)

    Each call gives copies of its own, so that whoever is given them may close them.

    Args:
        name: only those of this name (``FileDescriptorName`` of the ``.socket`` unit, by default
            the name of that unit: ``shop.socket``).

    Raises:
        LookupError: systemd has opened sockets, and none has this name.
        OSError: what it has passed is no socket.

    """
    passed = _passed()
    wanted = [number for number, given in passed.items() if name in (None, given)]
    if passed and not wanted:
        known = ", ".join(repr(given) for given in dict.fromkeys(passed.values()))
        message = f"systemd has opened no socket called {name!r}, but {known}"
        raise LookupError(message)
    return [_copy(number, passed[number]) for number in wanted]


def _passed() -> dict[int, str]:
    """The descriptors that were passed to this process, with their names."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = os.environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit()):
        return {}
    numbers = range(_FIRST, _FIRST + int(count))
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    names += ["unknown"] * (len(numbers) - len(names))  # what systemd calls those without a name
    return dict(zip(numbers, names, strict=False))


def _copy(number: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(number, False)  # noqa: FBT003  it has no other form
        return socket.socket(fileno=os.dup(number))
    except OSError as error:
        message = f"descriptor {number} ({name!r}) is no socket: {error.strerror}"
        raise OSError(error.errno, message) from None
