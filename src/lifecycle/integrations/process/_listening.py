"""Ready when the program says so: by a line that it writes, or as it would tell systemd."""

from __future__ import annotations

import re
import secrets
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, get_args

import attrs

from lifecycle.errors import DefinitionError
from lifecycle.integrations.process._bell import Bell
from lifecycle.integrations.process._errors import ProcessError
from lifecycle.integrations.process._ready import Ready, Watch
from lifecycle.processes import Stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.integrations.process._ready import Source

_READY: Final = "READY=1 at its NOTIFY_SOCKET"
_LONGEST: Final = 4096  # of a datagram: systemd takes no longer ones


class _Told(Watch):
    """Told in a thread that the program is ready."""

    def __init__(self, awaited: str) -> None:
        self._awaited = awaited
        self._is_ready = False
        self._bell = Bell()

    @property
    def awaited(self) -> str:
        return self._awaited

    def _tell(self) -> None:
        self._is_ready = True
        self._bell.ring()

    async def wait(self) -> None:
        while not self._is_ready:
            await self._bell.wait()

    def close(self) -> None:
        self._bell.close()


@attrs.frozen
class Line(Ready):
    """A line of output in which a pattern is found."""

    pattern: re.Pattern[str]
    stream: Stream | None

    def watch(self) -> Watch:
        """Begin to watch."""
        return _Lines(self)


class _Lines(_Told):
    def __init__(self, line: Line) -> None:
        where = "output" if line.stream is None else line.stream
        super().__init__(f"a line that matches {line.pattern.pattern!r} on its {where}")
        self._line = line

    def heard(self, stream: Stream, lines: Sequence[str]) -> None:
        if self._is_ready or self._line.stream not in (None, stream):
            return
        if any(self._line.pattern.search(line) for line in lines):
            self._tell()


def line(pattern: str | re.Pattern[str], *, stream: Stream | None = None) -> Ready:
    """Ready when the program writes a line in which a pattern is found.

    Args:
        pattern: a regular expression; it is searched for, anywhere in the line.
        stream: ``"stdout"`` or ``"stderr"``, where only one of them counts.

    Raises:
        DefinitionError: it is no regular expression, or no stream.

    """
    given: Any = pattern
    where: Any = stream
    text: Any = getattr(given, "pattern", given)
    if not isinstance(text, str):
        problem = f"process.line takes a regular expression for text, not {given!r}"
        raise DefinitionError(problem)
    if where not in (None, *get_args(Stream)):
        problem = f'process.line: stream is {where!r}, but must be "stdout", "stderr" or None'
        raise DefinitionError(problem)
    try:
        compiled = re.compile(given)
    except re.error as error:
        problem = f"process.line takes a regular expression; {pattern!r} is none: {error}"
        raise DefinitionError(problem) from error
    return Line(compiled, stream)


class Notify(Ready):
    """What the program would tell systemd."""

    def watch(self) -> Watch:
        """Begin to watch."""
        return _Notified()


class _Notified(_Told):
    def __init__(self) -> None:
        if sys.platform != "linux":
            message = "process.notify needs Linux; wait for a line or a port instead"
            raise ProcessError(message)
        super().__init__(_READY)
        # It has no place in the file system: nothing is left behind, and whatever the user of the
        # program may not read, or its root directory, does not matter.
        self._name = f"lifecycle/{secrets.token_hex(16)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003  it has no other form
        self._socket.bind(f"\0{self._name}")

    @property
    def env(self) -> Mapping[str, str]:
        return {"NOTIFY_SOCKET": f"@{self._name}"}

    @property
    def sources(self) -> tuple[Source, ...]:
        # To the end, and not only until it is ready: who speaks to a full socket waits.
        return ((self._socket.fileno(), self._read),)

    def _read(self) -> bool:
        try:
            # Descriptors that come along (BARRIER=1) are not taken, and so closed: that says that
            # everything before has been read.
            message = self._socket.recv(_LONGEST)
        except BlockingIOError:
            return True
        for assignment in message.decode(errors="replace").splitlines():
            name, _, value = assignment.partition("=")
            if name == "STATUS":
                self._awaited = f"{_READY} (its last status: {value})"
            elif (name, value) == ("READY", "1"):
                self._tell()
        return True

    def close(self) -> None:
        super().close()
        self._socket.close()


def notify() -> Ready:
    """Ready when the program says so as it would to systemd: ``sd_notify`` with ``READY=1``."""
    return Notify()
