"""The orders, kept in SQLite."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from anyio import to_thread

if TYPE_CHECKING:
    import sqlite3

_TABLE = "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT, packed INTEGER)"


class Orders:
    """The table of orders."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open database."""
        self._connection = connection
        self._one_at_a_time = threading.Lock()
        self._execute(_TABLE)

    async def add(self, item: str) -> int:
        """Take an order; gives its number."""
        insert = "INSERT INTO orders (item, packed) VALUES (?, 0) RETURNING id"
        return (await self._in_thread(insert, item))[0][0]

    async def pack(self, order: int) -> None:
        """Note that an order was packed."""
        await self._in_thread("UPDATE orders SET packed = 1 WHERE id = ?", order)

    async def count(self) -> tuple[int, int]:
        """How many orders there are, and how many of them are packed."""
        rows = await self._in_thread("SELECT count(*), coalesce(sum(packed), 0) FROM orders")
        return rows[0][0], rows[0][1]

    async def _in_thread(self, sql: str, *values: object) -> list[tuple[int, ...]]:
        return await to_thread.run_sync(self._execute, sql, *values)

    def _execute(self, sql: str, *values: object) -> list[tuple[int, ...]]:
        with self._one_at_a_time, self._connection:
            return self._connection.execute(sql, values).fetchall()
