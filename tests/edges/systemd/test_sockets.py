"""Sockets that systemd has opened: found by number and name, and given as copies."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from lifecycle.integrations.systemd import _activation, sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

ME = str(os.getpid())
FIRST = 700
"""In place of 3, which is something else in a process that runs tests."""


@contextlib.contextmanager
def activated(*files: int, names: str | None = None, pid: str = ME) -> Iterator[None]:
    """Be a process that was started with these descriptors."""
    environ = {"LISTEN_PID": pid, "LISTEN_FDS": str(len(files))}
    if names is not None:
        environ["LISTEN_FDNAMES"] = names
    numbers = [os.dup2(file, FIRST + at) for at, file in enumerate(files)]
    with (
        mock.patch.object(_activation, "_FIRST", FIRST),
        mock.patch.dict(os.environ, environ),
        contextlib.ExitStack() as stack,
    ):
        for number in numbers:
            stack.callback(os.close, number)
        yield


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def port_of(one: socket.socket) -> int:
    """Where it listens."""
    port: int = one.getsockname()[1]
    return port


def test_without_systemd_there_are_none() -> None:
    """A program that runs by hand opens its own."""
    assert [] == sockets()
    assert [] == sockets("web")


def test_they_are_found() -> None:
    """All of them, or those of a name; they are what systemd has opened."""
    with listening() as web, listening() as admin, listening() as also:
        files = web.fileno(), admin.fileno(), also.fileno()
        with activated(*files, names="web:admin:web"), contextlib.ExitStack() as stack:
            given = [
                [port_of(stack.enter_context(one)) for one in sockets(*name)]
                for name in ((), ("web",), ("admin",))
            ]
        ports = port_of(web), port_of(admin), port_of(also)
    assert [[*ports], [ports[0], ports[2]], [ports[1]]] == given


def test_they_are_complete() -> None:
    """Family and kind are those of the socket; a child does not inherit them."""
    with listening() as web, activated(web.fileno(), names="web"), sockets()[0] as given:
        assert (socket.AF_INET, socket.SOCK_STREAM) == (given.family, given.type)
        assert [False, False] == [os.get_inheritable(given.fileno()), os.get_inheritable(FIRST)]


def test_each_call_gives_copies() -> None:
    """A start that is tried again finds them open, though the first attempt has closed its own."""
    with listening() as web, activated(web.fileno(), names="web"):
        sockets()[0].close()
        with sockets()[0] as again, socket.create_connection(("127.0.0.1", port_of(web))) as client:
            accepted, _ = again.accept()
            with accepted:
                assert client.getsockname() == accepted.getpeername()


@pytest.mark.parametrize("names", [None, ""])
def test_sockets_without_a_name(names: str | None) -> None:
    """They are given to whom the name does not matter."""
    with listening() as web, activated(web.fileno(), names=names), sockets()[0] as given:
        assert port_of(web) == port_of(given)


def test_a_name_that_is_not_there() -> None:
    """It is an error that names those that are; the server would open a port of its own."""
    with listening() as web, listening() as admin:
        message = "systemd has opened no socket called 'wbe', but 'web', 'admin'"
        with (
            activated(web.fileno(), admin.fileno(), names="web:admin"),
            pytest.raises(LookupError, match=f"^{re.escape(message)}$"),
        ):
            sockets("wbe")


def test_those_of_another_process() -> None:
    """A child inherits the variables, and perhaps other descriptors of these numbers."""
    with listening() as web, activated(web.fileno(), pid="1"):
        assert [] == sockets()


@pytest.mark.parametrize("count", ["", "two", "-1"])
def test_a_count_that_is_none(count: str) -> None:
    """Nonsense is none."""
    with activated(), mock.patch.dict(os.environ, {"LISTEN_FDS": count}):
        assert [] == sockets()


def test_what_is_no_socket() -> None:
    """A FIFO, say: it is named."""
    read, write = os.pipe()
    message = f"descriptor {FIRST} ('web') is no socket: Socket operation on non-socket"
    with activated(read, names="web"), pytest.raises(OSError, match=re.escape(message)):
        sockets()
    os.close(read)
    os.close(write)
