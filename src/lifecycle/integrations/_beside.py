"""A task for the time of a ``with``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine


class Beside:
    """What runs beside a body; as the body sees it."""

    def __init__(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Prepare it."""
        self._run = run
        self._has_begun = False
        self._is_in_vain = False

    def forgo(self) -> bool:
        """See that it does not begin any more; says whether it had not, and so never will.

        Whoever is about to wait for what it sets asks this first. When an event loop of asyncio is
        torn down all tasks are cancelled, and one that has not made its first step never does.
        """
        self._is_in_vain = not self._has_begun
        return self._is_in_vain

    async def run(self) -> None:
        """Run it."""
        if not self._is_in_vain:
            self._has_begun = True
            await self._run()


@contextlib.asynccontextmanager
async def beside(run: Callable[[], Coroutine[Any, Any, None]], name: str) -> AsyncGenerator[Beside]:
    """Run something beside the body, and wait for its end; the body sees to it that it comes.

    What the body raises leaves bare, and not in a group: a person is to see the cause.

    Args:
        run: what to run; it raises nothing of its own.
        name: that of the task.

    """
    error: BaseException | None = None
    task = Beside(run)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task.run, name=name)
            try:
                yield task
            except BaseException as raised:  # noqa: BLE001  raised again below
                error = raised
    except anyio.get_cancelled_exc_class():
        if error is None:
            raise
    if error is not None:
        raise error
