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
    from collections.abc import Sequence

    from lifecycle import Settings
    from lifecycle.probes.server import ProbeServer as ProbeServer

__all__ = ["Answer", "Bounds", "Probe", "ProbeServer", "ask", "companions", "shown", "status_app"]


def companions(settings: Settings, given: Sequence[object] = ()) -> tuple[ProbeServer, ...]:
    """Make what `Settings.probes` switches on: a probe server at that address.

    Args:
        settings: where the address is.
        given: the companions that there are; a probe server among them that listens there itself is
            the one that the settings switch on, and no second is made.

    Raises:
        ImportError: h11 is not installed.

    """
    kind: type[ProbeServer] = __getattr__("ProbeServer")
    if settings.probes is None or any(
        isinstance(one, kind) and one.address in {None, settings.probes} for one in given
    ):
        return ()
    return (kind(settings.probes),)


def __getattr__(name: str) -> Any:
    # What needs no server needs no h11.
    if name == "ProbeServer":
        return importlib.import_module("lifecycle.probes.server").ProbeServer
    message = f"module 'lifecycle.probes' has no attribute {name!r}"
    raise AttributeError(message)
