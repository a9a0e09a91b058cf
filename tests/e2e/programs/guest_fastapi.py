"""The same shop as a FastAPI app."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request

from lifecycle.integrations.fastapi import lifespan, provide
from lifecycle.probes import status_app
from tests.e2e.programs.guest_plain import database, handler, say, shop, tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


@contextlib.asynccontextmanager
async def life(api: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
    """Say who takes SIGTERM before the system begins, meanwhile, and when it has ended."""
    say(f"SIGTERM is for {handler()}")
    async with lifespan(shop, observers=[tell])(api) as state:
        say(f"SIGTERM is for {handler()}")
        yield state
        say("app ends")
    say(f"SIGTERM is for {handler()}")


api = FastAPI(lifespan=life)
api.mount("/internal", status_app())


@api.get("/")
async def home(database: str = provide(database)) -> str:
    """Answer at once."""
    return database


@api.post("/slow")
async def slow(request: Request, database: str = provide(database)) -> str:
    """Answer when the whole of the request has come."""
    say("slow begins")
    await request.body()
    say("slow ends")
    return database
