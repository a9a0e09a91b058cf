"""hypercorn as a component.

::

    @shop.build
    def web(api: FastAPI = requires(api)) -> hypercorn.Server:
        return hypercorn.server(api, port=8000)

It is ready when the app's lifespan is up and the sockets listen. Drained, it refuses connections,
closes those that are idle, and finishes what is in flight; what is not finished when the time to
drain is over is cancelled, endless streams included. Then the app's lifespan is shut down, whose
failure is one of the component's stop.

hypercorn is told to touch neither signals nor logging, and runs on asyncio, uvloop and trio. Of its
code what serves a connection is used; which connections there are, and when they end, is decided
here: its own way to end waits for clients, on Python 3.12 and later for ever.
"""

from __future__ import annotations

try:
    from lifecycle.integrations.hypercorn._server import Server, server
except ImportError as error:
    if (error.name or "").partition(".")[0] != "hypercorn":
        raise
    message = "hypercorn is not installed: pip install 'anyio-lifecycle[hypercorn]'"
    raise ImportError(message, name=error.name) from error

__all__ = ["Server", "server"]
