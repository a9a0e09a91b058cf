"""What can be said to systemd, and how it is written; see ``sd_notify(3)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_LONGEST_TEXT = 512
"""In characters; systemd ignores a datagram of more than 4096 bytes."""


@attrs.frozen(kw_only=True)
class Message:
    """One datagram: what is said in it is taken in together."""

    ready: bool = False
    """The start is done."""
    stopping: bool = False
    """The shutdown has begun."""
    watchdog: bool = False
    """The service is alive; that holds for the time of the unit's ``WatchdogSec``."""
    extend_timeout: float | None = None
    """The start, or stop, goes on; it is said again within so many seconds."""
    status: str | None = None
    """How the service stands, for people."""

    @property
    def is_milestone(self) -> bool:
        """Whether it says something that is said once, and has to be heard by itself."""
        return self.ready or self.stopping

    def then(self, later: Message) -> Message:
        """This and a later one as one: where both say something, the later one counts.

        The later one is no milestone: of two in a datagram systemd takes in the last only.
        """
        return Message(
            ready=self.ready,
            stopping=self.stopping,
            watchdog=self.watchdog or later.watchdog,
            extend_timeout=_newer(self.extend_timeout, later.extend_timeout),
            status=_newer(self.status, later.status),
        )

    def assignments(self) -> Iterator[str]:
        """What it says, one after the other: ``READY=1``."""
        if self.ready:
            yield "READY=1"
        if self.stopping:
            yield "STOPPING=1"
        if self.status is not None:
            yield f"STATUS={_one_line(self.status)}"
        if self.extend_timeout is not None:
            yield f"EXTEND_TIMEOUT_USEC={round(self.extend_timeout * 1_000_000)}"
        if self.watchdog:
            yield "WATCHDOG=1"

    def encode(self) -> bytes:
        """The datagram."""
        return "\n".join(self.assignments()).encode("utf-8", "replace")

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return self != _NOTHING


_NOTHING = Message()


def address_of(text: str) -> str:
    """The address that ``NOTIFY_SOCKET`` stands for, as ``socket.connect`` takes it.

    Args:
        text: an absolute path, or the name of an abstract socket behind an ``@``.

    Raises:
        ValueError: it is neither.

    """
    if text.startswith("@") and len(text) > 1:
        return f"\0{text[1:]}"
    if text.startswith("/"):
        return text
    message = f"{text!r} is neither an absolute path nor the name of an abstract socket (@name)"
    raise ValueError(message)


def _newer(old: T | None, new: T | None) -> T | None:
    return old if new is None else new


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 1]}…"
