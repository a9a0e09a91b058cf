"""A shop whose routes need its parts, and ways to call them when the parts are not there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpx

import lifecycle
from lifecycle import Registry, System
from lifecycle.integrations.fastapi import attach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fastapi import FastAPI

    from lifecycle.asgi import ASGIApp


class Pool:
    """Something to be provided."""

    def __init__(self, name: str = "the pool") -> None:
        self.name = name


shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[Pool]:
    """Something that routes need."""
    yield Pool()


@shop.component
async def tags() -> list[str]:
    """Something else."""
    return ["new"]


async def get(api: ASGIApp, path: str = "/") -> httpx.Response:
    """Call an app without a server."""
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.get(path)


async def get_running(api: FastAPI, *paths: str, registry: Registry = shop) -> list[Any]:
    """Call an app whose system runs; give what the responses hold."""
    async with lifecycle.running(registry) as system:
        with attach(api, system):
            return [(await get(api, path)).json() for path in paths]


async def too_early(call: Callable[[System], Awaitable[object]], registry: Registry = shop) -> None:
    """Do something before anything has started."""

    @contextlib.asynccontextmanager
    async def companion(system: System) -> AsyncIterator[None]:
        await call(system)
        yield

    async with lifecycle.running(registry, companions=[companion]):
        pass


async def too_late(call: Callable[[System], Awaitable[object]], registry: Registry = shop) -> None:
    """Do something after everything has been closed."""

    @contextlib.asynccontextmanager
    async def companion(system: System) -> AsyncIterator[None]:
        yield
        await call(system)

    async with lifecycle.running(registry, companions=[companion]):
        pass
