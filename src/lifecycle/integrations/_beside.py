"""A task for the time of a ``with``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine


@contextlib.asynccontextmanager
async def beside(run: Callable[[], Coroutine[Any, Any, None]], name: str) -> AsyncGenerator[None]:
    """Run something beside the body, and wait for its end; the body sees to it that it comes.

    What the body raises leaves bare, and not in a group: a person is to see the cause.

    Args:
        run: what to run; it raises nothing of its own.
        name: that of the task.

    """
    error: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, name=name)
            try:
                yield
            except BaseException as raised:  # noqa: BLE001  raised again below
                error = raised
    except anyio.get_cancelled_exc_class():
        if error is None:
            raise
    if error is not None:
        raise error
