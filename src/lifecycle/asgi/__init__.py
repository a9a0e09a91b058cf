"""What an ASGI app needs in order to end well, under whichever server.

:class:`InFlight` counts calls, so that the drain waits for them, and ends those that are left when
its time is over. :func:`system_of` finds the system that a call belongs to. :class:`NotReady` is
the answer to a call that came too early.

::

    app = InFlight(api)

    api.add_exception_handler(NotReadyError, lambda request, error: NotReady(error))
"""

from __future__ import annotations

from lifecycle.asgi._in_flight import InFlight
from lifecycle.asgi._not_ready import RETRY_AFTER, NotReady
from lifecycle.asgi._scope import STATE_KEY, ASGIApp, Message, Receive, Scope, Send, system_of

__all__ = [
    "RETRY_AFTER",
    "STATE_KEY",
    "ASGIApp",
    "InFlight",
    "Message",
    "NotReady",
    "Receive",
    "Scope",
    "Send",
    "system_of",
]
