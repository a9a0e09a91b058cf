"""Binding before anything else is done: a port that is taken is known at once, and by its name."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable


async def bind(host: str | None, port: int) -> list[socket.socket]:
    """Bind all addresses of a host to one port, without listening yet.

    Args:
        host: a name or an address; empty or None: every interface.
        port: the port; 0 for a free one.

    Raises:
        OSError: it cannot be bound; the message says where.

    """
    with _saying_where((host or "", port)):
        infos = await anyio.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    with contextlib.ExitStack() as opened:
        bound: list[socket.socket] = []
        missing: OSError | None = None
        for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
            # Where the port was free to choose, the first address chooses for the others.
            chosen = bound[0].getsockname()[1] if bound else port
            try:
                one = _bind(family, (address[0], chosen, *address[2:]))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error  # a name may have addresses that this machine has not
            else:
                bound.append(opened.enter_context(one))
        if missing is not None and not bound:
            raise missing
        opened.pop_all()
        return bound


def listen(sockets: Iterable[socket.socket], backlog: int) -> None:
    """Let sockets that are bound listen.

    Event loops would do it, too; but uvloop keeps it to itself when that fails.

    Args:
        sockets: the sockets; they may listen already.
        backlog: how many connections may wait to be accepted.

    Raises:
        OSError: somebody else listens there; the message says where.

    """
    for one in sockets:
        with _saying_where(one.getsockname()):
            one.listen(backlog)


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    with _saying_where(address):
        # The protocol is said, since asyncio sets TCP_NODELAY only where it is known: without it,
        # an answer in two pieces takes the 40 ms by which Linux delays an acknowledgement.
        one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":
                # After a restart the port is free although old connections linger.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.setblocking(False)  # noqa: FBT003  it has no other form
            one.bind(address)
        except BaseException:
            one.close()
            raise
        return one


@contextlib.contextmanager
def _saying_where(address: tuple[object, ...]) -> Generator[None]:
    try:
        yield
    except OSError as error:
        host, port = address[:2]
        place = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        message = f"cannot listen on {place}: {error.strerror or error}"
        # A name that nobody knows has numbers of its own, which an OSError would take for others.
        kind = socket.gaierror if isinstance(error, socket.gaierror) else OSError
        raise kind(error.errno, message) from None
