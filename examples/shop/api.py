"""The routes of the shop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import anyio
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from lifecycle import System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jobs import Jobs
    from orders import Orders


def system_of(request: Request) -> System:
    """The system that answers a request: the server puts it there."""
    system: System = request.state.lifecycle
    return system


CurrentSystem = Annotated[System, Depends(system_of)]


def create_api(orders: Orders, jobs: Jobs) -> FastAPI:
    """Make the app, with what its routes need."""
    api = FastAPI(title="The shop")

    @api.get("/")
    async def home() -> dict[str, int]:
        """How many orders there are."""
        total, packed = await orders.count()
        return {"orders": total, "packed": packed}

    @api.post("/orders", status_code=202)
    async def order(item: str = "a book") -> dict[str, int]:
        """Take an order; it is packed later."""
        number = await orders.add(item)
        jobs.put(number)
        return {"order": number}

    @api.get("/slow")
    async def slow(seconds: float = 3) -> dict[str, float]:
        """Take some time. A shutdown waits for it."""
        await anyio.sleep(seconds)
        return {"slept": seconds}

    @api.get("/stream")
    async def stream(system: CurrentSystem) -> StreamingResponse:
        """Send an event every second, until the shop closes: a stream ends itself."""
        return StreamingResponse(events(system), media_type="text/event-stream")

    @api.get("/status")
    async def status(system: CurrentSystem) -> Response:
        """How every part stands, and what is in flight."""
        return Response(system.status().to_json(), media_type="application/json")

    return api


async def events(system: System) -> AsyncIterator[str]:
    """Tick while no shutdown drains the shop, and say goodbye."""
    async for number in system.until_draining(ticks()):
        yield f"data: {number}\n\n"
    yield "event: goodbye\ndata: the shop closes\n\n"


async def ticks() -> AsyncIterator[int]:
    """Count the seconds."""
    number = 0
    while True:
        yield number
        number += 1
        await anyio.sleep(1)
