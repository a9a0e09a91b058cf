"""The way from other threads to the event loop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio
from anyio.from_thread import BlockingPortal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@contextlib.asynccontextmanager
async def open_portal() -> AsyncGenerator[BlockingPortal]:
    """Let other threads call functions on the loop, and wait at the end for those that run.

    What the body raises leaves bare, and not in a group: a person is to see the cause.
    """
    error: BaseException | None = None
    try:
        async with BlockingPortal() as portal:
            try:
                yield portal
            except BaseException as raised:  # noqa: BLE001  raised again below
                error = raised
    except anyio.get_cancelled_exc_class():
        if error is None:
            raise
    if error is not None:
        raise error
