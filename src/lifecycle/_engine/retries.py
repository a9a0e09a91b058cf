"""Trying a start again, as the component's retry has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from lifecycle.errors import leaf

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle._engine.host import Host

T = TypeVar("T")


async def retried(host: Host, attempt: Callable[[int], Awaitable[T]]) -> T:
    """Make attempt after attempt; returns what the first returns that goes well.

    Args:
        host: whose start it is.
        attempt: makes one; it is called with its number, from 1.

    Raises:
        BaseException: what the last attempt has raised.

    """
    retry = host.node.retry
    if retry is None:
        return await attempt(1)
    pauses = retry.delays()
    number = 0
    while True:
        number += 1
        try:
            return await attempt(number)
        except Exception as error:
            # Out of a task group it comes in a group of one.
            is_worth_it = isinstance(error, retry.on) or isinstance(leaf(error), retry.on)
            pause = next(pauses, None)
            if pause is None or not (is_worth_it and host.may_try_again):
                raise
            host.engine.starts.retrying(host, number, pause, leaf(error))
        await anyio.sleep(pause)
