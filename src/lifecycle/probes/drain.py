"""Asking a system to drain, over HTTP: for a preStop hook, and from this machine only.

It is a request to shut down like any other: not ready from now on, serving for the drain delay,
then drained and closed. What the platform sends after that, SIGTERM, changes nothing any more; so
the delay is not waited for twice, and the grace period is counted from when the platform does.
"""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING, Final

from lifecycle.probes.responses import FORBIDDEN, OK, Response, json_response
from lifecycle.probes.routes import not_allowed, refuse
from lifecycle.states import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle import System

DRAIN: Final = "/drain"
DRAIN_METHOD: Final = "POST"
REASON: Final = "asked to drain"

_OF_OTHERS: Final = frozenset(
    (
        # Proxies on this machine, that pass on what comes from elsewhere …
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-real-ip",
        # … and browsers on it, that do what a page from elsewhere says.
        b"origin",
        b"sec-fetch-site",
    )
)
"""Headers of requests that only seem to come from this machine."""


def is_from_here(host: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request was made on this machine, by who means it.

    Args:
        host: the address that the connection comes from.
        headers: those of the request, names in lower case.

    """
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return address.is_loopback and not any(name in _OF_OTHERS for name, _ in headers)
    return False


def respond(system: System, method: str, *, from_here: bool) -> Response:
    """Ask for a shutdown, and say for how long requests may still come.

    Args:
        system: the system.
        method: only POST does anything.
        from_here: whether the request was made on this machine, by who means it.

    """
    if method != DRAIN_METHOD:
        return not_allowed(system, (DRAIN_METHOD,))
    if not from_here:
        return refuse(system, FORBIDDEN, "only who is on the same machine can ask for this")
    system.shut_down(REASON)
    status = system.status()
    delay = 0.0
    if status.phase is Phase.DELAYING and status.time_left is not None:
        settings = system.settings
        delay = max(0.0, settings.drain_delay - (settings.grace_period - status.time_left))
    content = {"phase": status.phase, "reason": status.reason, "delay_left": delay}
    return json_response(OK, status.phase, content)
