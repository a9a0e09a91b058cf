"""The parts of the shop, and what each of them needs.

    config ── database ──┐
                         ├── packing ── web
    jobs ────────────────┘

They start from left to right and end from right to left: first the web server (web.py, with the
routes in api.py) takes no more requests and finishes those that it has, then the packing of what
was ordered is finished, and only then are the queue and the database closed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from config import Config
from jobs import Jobs
from orders import Orders

from lifecycle import Lifetime, Registry, preflight, requires

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

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
