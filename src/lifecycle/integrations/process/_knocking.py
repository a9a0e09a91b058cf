"""Ready when somebody answers at an address.

Nobody is told when a program begins to listen: one has to try again. The pauses between attempts
grow, from 0.01 to 0.5 s.
"""

from __future__ import annotations

import abc
import contextlib
import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
import attrs

from lifecycle.errors import DefinitionError
from lifecycle.integrations.process._errors import ProcessError
from lifecycle.integrations.process._ready import Ready, Watch
from lifecycle.settings import Retry, parse_address
from lifecycle.settings.address import is_address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import ByteStream

PAUSES: Final = Retry(sys.maxsize, delay=0.01, factor=1.6, max_delay=0.5)

_ATTEMPT: Final = 5.0
"""How long one attempt may take, in seconds: who is still starting may accept, and not answer."""
_SCHEMES: Final = {"http": 80}
_IN_ONE_PIECE: Final = re.compile(r"[^\s\x00-\x1f\x7f]+")
"""A URL goes into the first line of a request as it is."""
_STATUSES: Final = range(100, 600)
_STATUS: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})")
_LONGEST_STATUS: Final = 4096


class Door(Ready):
    """Where to knock."""

    @property
    @abc.abstractmethod
    def awaited(self) -> str:
        """What is waited for, in words."""

    @property
    @abc.abstractmethod
    def place(self) -> str:
        """The address, in words."""

    @abc.abstractmethod
    def connect(self) -> AbstractAsyncContextManager[ByteStream]:
        """Connect to it."""

    async def ask(self, stream: ByteStream) -> str:
        """Ask whoever is there; gives what is wrong with the answer."""
        del stream
        return ""

    def watch(self) -> Watch:
        """Begin to watch."""
        return _Knocking(self)


class _Knocking(Watch):
    def __init__(self, door: Door) -> None:
        self._door = door
        self._met = ""

    @property
    def awaited(self) -> str:
        return self._door.awaited + (f" (the last attempt: {self._met})" if self._met else "")

    async def before(self) -> None:
        with contextlib.suppress(OSError), anyio.fail_after(_ATTEMPT):
            async with self._door.connect():
                message = (
                    f"something else listens at {self._door.place} already: this program could "
                    "neither listen there, nor be told from it. What is left of an earlier run?"
                )
                raise ProcessError(message)

    async def wait(self) -> None:
        for pause in PAUSES.delays():
            try:
                with anyio.fail_after(_ATTEMPT):
                    async with self._door.connect() as stream:
                        self._met = await self._door.ask(stream)
            except TimeoutError:
                self._met = "no answer"
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
                self._met = _words(error)
            if not self._met:
                return
            await anyio.sleep(pause)


def _words(error: BaseException) -> str:
    cause: Any = error.__cause__
    inner = getattr(cause, "exceptions", None)  # anyio's summary of a name's addresses
    if inner:
        error = inner[0]
    elif isinstance(cause, OSError):
        error = cause
    if isinstance(error, socket.gaierror):
        return str(error.strerror)  # the numbers of names that nobody knows are not the system's
    # Event loops have texts of their own for it.
    number = getattr(error, "errno", None)
    return (os.strerror(number) if number else str(error)) or type(error).__name__


@contextlib.asynccontextmanager
async def _closed_at_once(stream: ByteStream) -> AsyncGenerator[ByteStream]:
    try:
        yield stream
    finally:
        await anyio.aclose_forcefully(stream)


@attrs.frozen
class Tcp(Door):
    """A TCP port."""

    host: str
    port: int

    @property
    def awaited(self) -> str:
        """In words."""
        return f"somebody to listen at {self.place}"

    @property
    def place(self) -> str:
        """In words."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncGenerator[ByteStream]:
        """Connect to it."""
        async with _closed_at_once(await anyio.connect_tcp(self.host, self.port)) as stream:
            yield stream


@attrs.frozen
class Unix(Door):
    """A unix socket."""

    path: str

    @property
    def awaited(self) -> str:
        """In words."""
        return f"somebody to listen at {self.path}"

    @property
    def place(self) -> str:
        """In words."""
        return self.path

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncGenerator[ByteStream]:
        """Connect to it."""
        async with _closed_at_once(await anyio.connect_unix(self.path)) as stream:
            yield stream


@attrs.frozen
class Http(Tcp):
    """An HTTP server."""

    target: str
    status: int | None

    @property
    def awaited(self) -> str:
        """In words."""
        wanted = "below 400" if self.status is None else str(self.status)
        return f"an answer {wanted} from http://{self.place}{self.target}"

    async def ask(self, stream: ByteStream) -> str:
        """Ask for the status."""
        request = (
            f"GET {self.target} HTTP/1.1\r\nHost: {self.place}\r\nUser-Agent: lifecycle\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        )
        await stream.send(request.encode())
        answer = b""
        while b"\n" not in answer and len(answer) < _LONGEST_STATUS:
            answer += await stream.receive()
        match = _STATUS.match(answer)
        if match is None:
            return f"{answer[:40]!r}, which is no HTTP"
        status = int(match[1])
        is_wanted = status < 400 if self.status is None else status == self.status  # noqa: PLR2004  where errors begin
        return "" if is_wanted else f"status {status}"


def tcp(address: str, port: int | None = None) -> Ready:
    """Ready when something listens at a TCP port.

    Args:
        address: host and port, ``"127.0.0.1:9000"`` or ``"[::1]:9000"``; or the host alone.
        port: the port, where `address` has none.

    Raises:
        DefinitionError: it is no such address.

    """
    given: Any = address
    if port is not None and isinstance(given, str):
        given = f"{f'[{given}]' if ':' in given else given}:{_number(port)}"
    host, number = parse_address(given) if is_address(given) else (None, 0)
    if number == 0:
        problem = f'process.tcp takes host and port, as in tcp("127.0.0.1:9000"), not {given!r}'
        raise DefinitionError(problem)
    return Tcp(host or "127.0.0.1", number)


def _number(port: Any) -> str:
    """Write a port, as it is where it is no number: no address has one."""
    return str(port) if type(port) is int else repr(port)


def unix(path: str | os.PathLike[str]) -> Ready:
    """Ready when something listens at a unix socket.

    Args:
        path: where it is.

    Raises:
        DefinitionError: it is no path.

    """
    given: Any = path
    if not isinstance(given, (str, os.PathLike)) or not os.fspath(given):
        problem = f'process.unix takes a path, as in unix("/run/shop.sock"), not {given!r}'
        raise DefinitionError(problem)
    return Unix(os.fsdecode(path))


def http(url: str, *, status: int | None = None) -> Ready:
    """Ready when an HTTP server answers.

    Args:
        url: what it is asked for, with GET; ``http`` only.
        status: the status that it has to answer with; by default any below 400.

    Raises:
        DefinitionError: it is no such URL, or no status.

    """
    given: Any = url
    wanted: Any = status
    try:
        parts = urlsplit(given if _IN_ONE_PIECE.fullmatch(given) else "")
        default = _SCHEMES[parts.scheme]
        port = default if parts.port is None else parts.port
    except (KeyError, TypeError, ValueError):
        parts, port = urlsplit(""), 0
    if not port or not parts.hostname or parts.username is not None:
        problem = (
            f'process.http takes a URL, as in http("http://127.0.0.1:8080/ping"), not {given!r}'
        )
        raise DefinitionError(problem)
    is_status = isinstance(wanted, int) and wanted in _STATUSES
    if wanted is not None and not is_status:
        problem = f"process.http: status is {wanted!r}, but must be one of HTTP, as in 204"
        raise DefinitionError(problem)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Http(parts.hostname, port, target, status)
