"""Where something listens, as people write it: ``db.internal:5432``, ``:8081``, ``[::1]:8081``."""

from __future__ import annotations

import re

EXPECTED = 'an address, "HOST:PORT" or ":PORT", as in ":8081"'
_ADDRESS = r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^\[\]:\s]*)):(?P<port>[0-9]{1,5})"
_LAST_PORT = 65535


def parse_address(text: str) -> tuple[str | None, int]:
    """Take an address apart into host, None where it has none, and port.

    An IPv6 address stands in brackets. A port alone, ``8081``, is ``:8081``.

    Raises:
        ValueError: It is no address; the message says what would be.
    """
    match = re.fullmatch(_ADDRESS, text if ":" in text else f":{text}")
    if match is None or int(match["port"]) > _LAST_PORT or not _is_v6(match["v6"]):
        raise ValueError(EXPECTED)
    return match["v6"] or match["host"] or None, int(match["port"])


def _is_v6(text: str | None) -> bool:
    if text is None:
        return True
    import ipaddress  # noqa: PLC0415  slow, and rarely needed; where settings are, nothing runs yet

    try:
        return bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def is_address(value: object) -> bool:
    """Whether `value` is a text that :func:`parse_address` takes."""
    try:
        return isinstance(value, str) and bool(parse_address(value))
    except ValueError:
        return False
