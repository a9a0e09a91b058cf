"""A page for a person: the graph of components, each with how it stands, live while it is open.

It is one document with everything in it, drawn here: it asks nobody else for anything, and works,
without being live, where JavaScript does not run. It shows what ``/status`` shows, and so keeps
secret what that does.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from lifecycle.probes.answers import shown
from lifecycle.probes.page import live
from lifecycle.probes.page.assets import policy
from lifecycle.probes.page.document import document
from lifecycle.probes.page.view import View
from lifecycle.probes.responses import OK, Response, headers

if TYPE_CHECKING:
    from lifecycle import System

__all__ = ["events", "page"]


async def page(system: System) -> Response:
    """Answer with the whole page, as it is now.

    It is written in a worker thread: a large graph takes a while, and no probe may wait for it.

    Args:
        system: the system that it is about. The page asks for `events` at the path ``events``
            beside its own, which ends in ``/``.

    """
    status = shown(system)
    own = CapacityLimiter(1)  # whatever the service's threads are busy with
    body = await to_thread.run_sync(document, View.of(system), status, limiter=own)
    guards = (("Content-Security-Policy", policy()), ("Referrer-Policy", "no-referrer"))
    told = headers(status.phase, "text/html; charset=utf-8", len(body), *guards)
    return Response(OK, told, body)


def events(system: System) -> Response:
    """Answer with what the open page is to show, as server-sent events, until the system has ended.

    Args:
        system: the system that it is about.

    """
    # A proxy that collects what it passes on would show the past.
    told = headers(system.status().phase, "text/event-stream", None, ("X-Accel-Buffering", "no"))
    return Response(OK, told, stream=functools.partial(live.events, system))
