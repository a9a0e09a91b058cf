"""What a port that anybody can reach may cost."""

from __future__ import annotations

from typing import Any

import attrs

from lifecycle.errors import SettingsError
from lifecycle.settings.durations import Seconds


def _check_number(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingsError(attribute.name, value, "a whole number, 1 or more")


@attrs.frozen(kw_only=True)
class Bounds:
    """The bounds of a probe server.

    Raises:
        SettingsError: one is not more than 0.

    """

    connections: int = attrs.field(default=200, validator=_check_number)
    """How many may be open at once. A new one is never refused: the one that has kept us waiting
    longest is closed for it. 200 leaves most of the 1024 file descriptors that a process has by
    default to the service."""
    viewers: int = attrs.field(default=16, validator=_check_number)
    """How many may follow the page live at once; a further one gets a 503."""
    head: int = attrs.field(default=16 * 1024, validator=_check_number)
    """The longest head of a request, in bytes, as far as it comes in pieces; one that is longer
    gets a 431. nginx takes 8 KiB a line, node.js 16 KiB in all."""
    body: int = attrs.field(default=16 * 1024, validator=_check_number)
    """The longest body, in bytes; it is read and thrown away, and a longer one gets a 413."""
    request_time: float = attrs.field(default=5.0, validator=Seconds())
    """How long a client may take to send a request, or to take an answer, in seconds."""
    idle_time: float = attrs.field(default=30.0, validator=Seconds())
    """How long a connection is kept open for the next request, in seconds: monitors mostly ask
    every 10 to 15."""
