"""Probes: whether a system is healthy, ready and started, for those who ask from outside.

:class:`ProbeServer` answers over HTTP at an address of its own, and needs h11: ``pip install
'anyio-lifecycle[probes]'``. What is answered, and when, is said by :func:`ask`, whatever carries
it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lifecycle.probes.answers import Answer, Probe, ask, shown
from lifecycle.probes.asgi import status_app
from lifecycle.probes.bounds import Bounds

if TYPE_CHECKING:
    from lifecycle import Settings
    from lifecycle.probes.server import ProbeServer as ProbeServer

__all__ = ["Answer", "Bounds", "Probe", "ProbeServer", "ask", "companion", "shown", "status_app"]


def companion(settings: Settings) -> ProbeServer:
    """Make what `Settings.probes` switches on: a probe server at that address.

    Raises:
        ImportError: h11 is not installed.

    """
    server: ProbeServer = __getattr__("ProbeServer")(settings.probes)
    return server


def __getattr__(name: str) -> Any:
    # What needs no server needs no h11.
    if name == "ProbeServer":
        return importlib.import_module("lifecycle.probes.server").ProbeServer
    message = f"module 'lifecycle.probes' has no attribute {name!r}"
    raise AttributeError(message)
