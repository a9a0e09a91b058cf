"""uvicorn as a component.

::

    @shop.build
    def web(api: FastAPI = requires(api)) -> uvicorn.Server:
        return uvicorn.server(api, port=8000)

It is ready when the app's lifespan is up and the sockets listen. Drained, it refuses connections,
closes those that are idle, and finishes what is in flight; what is not finished when the time to
drain is over is cancelled, endless streams included. Then the app's lifespan is shut down, whose
failure is one of the component's stop.

uvicorn is told to touch neither signals nor logging, and runs on asyncio and uvloop.
"""

from __future__ import annotations

try:
    from lifecycle.integrations.uvicorn._server import Server, server
except ImportError as error:
    if (error.name or "").partition(".")[0] != "uvicorn":
        raise
    message = "uvicorn is not installed: pip install 'anyio-lifecycle[uvicorn]'"
    raise ImportError(message, name=error.name) from error

__all__ = ["Server", "server"]
