"""Options of servers that cannot work inside a system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BACKEND: Final = "the event loop is chosen by `lifecycle.run(…, backend=…)`"
FACTORY: Final = "call the factory, and pass the app that it gives"
INTERFACE: Final = "wrap the app, so that it is an ASGI 3 one"
BEHIND: Final = "it would end the server behind the system's back"
OWN_PROCESS: Final = "it needs processes of {server}'s own, and the server lives inside this one"
SHUTDOWN: Final = "the component's `drain_timeout` and `stop_timeout` say that"
SOCKETS: Final = "bind a socket, and pass it in `sockets`"
START: Final = "the component's `start_timeout` says that"
TCP: Final = "only TCP is supported"


def check(server: str, names: Iterable[str], refused: Mapping[str, str]) -> None:
    """Refuse options that cannot work inside a system.

    Args:
        server: the name of the server.
        names: the options that were given.
        refused: why each of those cannot work, and what to do instead.

    Raises:
        TypeError: one of them cannot; the message says why, and what to do instead.

    """
    for name in names:
        if name in refused:
            why = refused[name].format(server=server)
            message = f"{server}'s {name!r} cannot be used inside a system: {why}"
            raise TypeError(message)
