"""The servers that there are, on what they run, and how to run a system of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Registry, Report, Settings, System
from lifecycle.errors import RunError
from lifecycle.integrations import granian, hypercorn, uvicorn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle.testing.servers import Backend, MakesServer

SERVERS: dict[str, tuple[MakesServer, tuple[Backend, ...]]] = {
    "uvicorn": (uvicorn.server, ("asyncio", "uvloop")),
    "granian": (granian.server, ("asyncio", "uvloop")),
    "hypercorn": (hypercorn.server, ("asyncio", "uvloop", "trio")),
}
ON_EACH = [(name, backend) for name, (_, backends) in SERVERS.items() for backend in backends]


def server(name: str, app: Any, **options: Any) -> Any:
    """Make a server at a free port."""
    make: Callable[..., Any] = SERVERS[name][0]
    return make(app, port=0, **options)


def shop_of(name: str, app: Any, **options: Any) -> tuple[Registry, Any]:
    """A system of nothing but a server."""
    shop = Registry("shop")
    web = server(name, app, **options)
    shop.add(web, name="web")
    return shop, web


def run(
    backend: str,
    shop: Registry,
    body: Callable[[System], Awaitable[object]] | None = None,
    settings: Settings | None = None,
) -> Report:
    """Run a system on an event loop of its own, and give the report, also of one that fails."""
    options: dict[str, Any] = {"use_uvloop": True} if backend == "uvloop" else {}

    async def main() -> Report:
        try:
            async with lifecycle.running(shop, settings or Settings()) as system:
                if body is not None:
                    await body(system)
                system.shut_down("the test is over")
                return await system.closed()
        except RunError as error:
            if error.report is None:
                raise
            return error.report

    name = "trio" if backend == "trio" else "asyncio"
    return anyio.run(main, backend=name, backend_options=options)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer at once; an app without a lifespan."""
    assert scope["type"] == "http"
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello", "more_body": False})
