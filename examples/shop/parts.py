"""The parts of the shop, and what each of them needs.

    config ── database ──┐
                         ├── packing ──┐
    jobs ────────────────┤             ├── web
                         └── api ──────┘

They start from left to right and end from right to left: first the web server takes no more
requests and finishes those that it has, then the packing of what was ordered is finished, and only
then are the queue and the database closed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from api import create_api
from config import Config
from jobs import Jobs
from orders import Orders

from lifecycle import Lifetime, Registry, preflight, requires
from lifecycle.integrations import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

shop = Registry("shop")

shop.preflight(preflight.writable(Config.data_directory()))


@shop.component
def config() -> Config:
    """A value: nothing to stop."""
    return Config.from_env()


@shop.component(start_timeout=10)
def database(config: Config = requires(config)) -> Iterator[Orders]:
    """Sync code lives in a thread of its own: up to the yield it starts, after it it stops."""
    connection = sqlite3.connect(config.data / "lifecycle-shop.db", check_same_thread=False)
    with contextlib.closing(connection):
        yield Orders(connection)


@shop.component
async def jobs() -> AsyncIterator[Jobs]:
    """The queue of orders that are to be packed."""
    with contextlib.closing(Jobs()) as jobs:
        yield jobs


@shop.service(drain_timeout=10)
async def packing(
    life: Lifetime, jobs: Jobs = requires(jobs), orders: Orders = requires(database)
) -> None:
    """Runs as long as the shop does. Asked to drain, it packs what is left, and returns."""

    async def pack(order: int) -> None:
        with life.hold(f"order {order}"):
            await orders.pack(order)

    life.started()
    async for order in life.until_draining(jobs):
        await pack(order)
    for order in jobs.left():
        await pack(order)


@shop.component
def api(orders: Orders = requires(database), jobs: Jobs = requires(jobs)) -> FastAPI:
    """The routes."""
    return create_api(orders, jobs)


@shop.build(after=[packing], drain_timeout=15)
def web(api: FastAPI = requires(api), config: Config = requires(config)) -> uvicorn.Server:
    """The server. It comes `after` the packing, so that no order arrives behind its back."""
    return uvicorn.server(api, host=config.host, port=config.port)
