"""An app with short requests, long ones, a stream of events, and a websocket.

It is served by servers that know nothing of lifecycle, and by lifecycle. The one difference is that
there its stream can be told to end itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

router = APIRouter()


@router.get("/")
async def home() -> str:
    return "hello"


@router.get("/slow")
async def slow(seconds: float = 3) -> str:
    await anyio.sleep(seconds)
    return "hello again"


@router.get("/events")
async def events(request: Request) -> StreamingResponse:
    system = getattr(request.state, "lifecycle", None)

    async def ended_in_time() -> AsyncIterator[str]:
        async for tick in ticks() if system is None else system.until_draining(ticks()):
            yield tick

    return StreamingResponse(ended_in_time(), media_type="text/event-stream")


async def ticks() -> AsyncIterator[str]:
    while True:
        yield "data: tick\n\n"
        await anyio.sleep(0.5)


@router.websocket("/chat")
async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


api = FastAPI()
api.include_router(router)
