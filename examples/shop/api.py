"""The routes of the shop."""

from collections.abc import AsyncIterator

import anyio
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from jobs import Jobs
from orders import Orders
from parts import database, jobs

from lifecycle.integrations.fastapi import CurrentSystem, provide

api = FastAPI(title="The shop")


@api.get("/")
async def home(orders: Orders = provide(database)) -> dict[str, int]:
    """How many orders there are."""
    total, packed = await orders.count()
    return {"orders": total, "packed": packed}


@api.post("/orders", status_code=202)
async def order(
    item: str = "a book", orders: Orders = provide(database), jobs: Jobs = provide(jobs)
) -> dict[str, int]:
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

    async def events() -> AsyncIterator[str]:
        async for number in system.until_draining(ticks()):
            yield f"data: {number}\n\n"
        yield "event: goodbye\ndata: the shop closes\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@api.get("/status")
async def status(system: CurrentSystem) -> Response:
    """How every part stands, and what is in flight."""
    return Response(system.status().to_json(), media_type="application/json")


async def ticks() -> AsyncIterator[int]:
    """Count the seconds."""
    number = 0
    while True:
        yield number
        number += 1
        await anyio.sleep(1)
