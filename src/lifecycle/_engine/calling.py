"""Calling what users wrote, whichever colour it has.

This is the one place that knows sync from async. Sync code runs in the component's thread unless
told otherwise; what it returns may still be for the loop to await.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from lifecycle._core import calls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    InThread: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
    """How a function is called in a thread of its own."""


async def call(
    in_thread: InThread | None, function: Callable[..., Any], *args: object, **kwargs: object
) -> Any:
    """Call a hook, and await what it returns where that is to be awaited.

    Args:
        in_thread: how sync code is called; None: on the loop.
        function: the hook.
        args: what it is called with, and `kwargs`.

    """
    result = await call_only(in_thread, function, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result


async def call_coroutine(
    in_thread: InThread | None, function: Callable[..., Any], *args: object, **kwargs: object
) -> Any:
    """Call a function, and await what it returns if that is a coroutine.

    Other awaitables are left alone: a pool or a client may be one, and is what was asked for.
    """
    result = await call_only(in_thread, function, *args, **kwargs)
    return await result if inspect.iscoroutine(result) else result


async def call_only(
    in_thread: InThread | None, function: Callable[..., Any], *args: object, **kwargs: object
) -> Any:
    """Call a function, and return what it returns."""
    if in_thread is None or calls.belongs_on_loop(function):
        return function(*args, **kwargs)
    return await in_thread(functools.partial(function, *args, **kwargs))
