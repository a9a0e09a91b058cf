"""granian as a component.

::

    @shop.build
    def web(api: FastAPI = requires(api)) -> granian.Server:
        return granian.server(api, port=8000)

It is ready when the app's lifespan is up and the sockets listen. Drained, it refuses connections,
closes those that are idle, and finishes what is in flight; what is not finished when the time to
drain is over is cancelled, endless streams included. Then the app's lifespan is shut down, whose
failure is one of the component's stop.

This is granian's embedded server, which it calls experimental: the app runs on the event loop of
the system, asyncio or uvloop; connections are served by a thread of its own. It is told to touch
neither signals nor logging.
"""

from __future__ import annotations

try:
    from lifecycle.integrations.granian._server import Server, server
except ImportError as error:
    if (error.name or "").partition(".")[0] != "granian":
        raise
    message = "granian is not installed: pip install 'anyio-lifecycle[granian]'"
    raise ImportError(message, name=error.name) from error

__all__ = ["Server", "server"]
