"""Components in the routes of a FastAPI app.

::

    @api.get("/orders")
    async def orders(pool: Pool = provide(database)) -> list[Order]: ...

    @api.get("/stream")
    async def stream(system: CurrentSystem) -> StreamingResponse:
        return StreamingResponse(system.until_draining(events()))

    shop.add(uvicorn.server(api, port=8000), name="web")    # requires what the routes are provided

The app may be made before anything has started, since a route gets the value of a component when it
is called. In tests :func:`attach` does what a server does otherwise.
"""

from __future__ import annotations

try:
    from lifecycle.integrations.fastapi._attached import Attached, attach
    from lifecycle.integrations.fastapi._lifespan import lifespan
    from lifecycle.integrations.fastapi._providing import CurrentSystem, Provider, provide
    from lifecycle.integrations.fastapi._routes import provided_by
except ImportError as error:
    if error.name != "fastapi":
        raise
    message = "FastAPI is not installed: pip install 'anyio-lifecycle[fastapi]'"
    raise ImportError(message, name=error.name) from error

__all__ = [
    "Attached",
    "CurrentSystem",
    "Provider",
    "attach",
    "lifespan",
    "provide",
    "provided_by",
]
