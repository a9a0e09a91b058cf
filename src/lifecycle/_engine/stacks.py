"""Where something that is being awaited stands, as a traceback; alike on asyncio and trio."""

from __future__ import annotations

import gc
import inspect
import traceback
from typing import Any, Final

import anyio

_AWAITED = ("cr_await", "ag_await", "gi_yieldfrom")
_FRAMES = ("cr_frame", "ag_frame", "gi_frame")
_STEPS = ("async_generator_asend", "async_generator_athrow")
_DEEPEST = 100
_MOST_CHILDREN: Final = 5
"""Of how many tasks the stacks are shown: a server may have one for each connection."""


def of(awaited: Any) -> str:
    """The stack of a coroutine or async generator that is suspended, outermost first."""
    lines: list[str] = []
    for _ in range(_DEEPEST):
        if awaited is None:
            break
        if type(awaited).__name__ in _STEPS:
            # A step of an async generator: only the garbage collector knows of which.
            referents = gc.get_referents(awaited)
            awaited = next((one for one in referents if inspect.isasyncgen(one)), None)
            continue
        frame = _first(awaited, _FRAMES)
        if frame is not None:
            lines += traceback.format_list(traceback.extract_stack(frame, limit=1)[-1:])
        awaited = _first(awaited, _AWAITED)
    return "".join(lines)


def of_children(task: object) -> str:
    """The stacks of the tasks in the task groups of a task, and in theirs; on its event loop."""
    running = anyio.get_running_tasks()
    children: list[anyio.TaskInfo] = []
    parents = {id(task)}
    while found := [one for one in running if one.parent_id in parents]:
        children += found
        parents = {one.id for one in found}
    stacks = [f"in its task {one.name!r}:\n{of(one.coro)}" for one in children[:_MOST_CHILDREN]]
    left = len(children) - len(stacks)
    return "".join([*stacks, *([f"and in {left} more of its tasks\n"] if left > 0 else [])])


def _first(thing: Any, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := getattr(thing, name, None))), None)
