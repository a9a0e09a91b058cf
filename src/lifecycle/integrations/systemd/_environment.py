"""What systemd tells a service by environment variables, and nobody else is to hear."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, MutableMapping

logger = logging.getLogger("lifecycle.systemd")

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


@attrs.frozen
class Environment:
    """What the variables say."""

    address: str | None
    """Where to send notifications; None: nowhere."""
    watchdog: float | None
    """Within how many seconds the service has to be heard of again and again; None: it need not."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Environment:
        """Read the variables. One that makes no sense is logged, and counts as not set."""
        return cls(environ.get("NOTIFY_SOCKET") or None, _watchdog(environ))


@contextlib.contextmanager
def taken(environ: MutableMapping[str, str]) -> Generator[Environment]:
    """Read the variables, and take them away meanwhile.

    A process that is started from this one would speak in its name otherwise: php-fpm, for one,
    says by itself that it is ready.
    """
    environment = Environment.read(environ)
    held = {name: environ.pop(name) for name in _VARIABLES if name in environ}
    try:
        yield environment
    finally:
        for name, value in held.items():
            environ.setdefault(name, value)


def _watchdog(environ: Mapping[str, str]) -> float | None:
    text, pid = environ.get("WATCHDOG_USEC"), environ.get("WATCHDOG_PID")
    if not text or (pid and pid != str(os.getpid())):
        return None
    # ASCII digits: `int` takes others, and underscores.
    if not (text.isascii() and text.isdigit() and int(text)):
        message = "WATCHDOG_USEC is %r, which is no number of microseconds: there is no watchdog"
        logger.warning(message, text)
        return None
    return int(text) / 1_000_000
