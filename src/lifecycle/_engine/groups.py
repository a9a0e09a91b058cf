"""Finding out whether a hook has left a task group open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from lifecycle._engine.loop import in_trio
from lifecycle.errors import InvalidComponentError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LEFT_OPEN = (
    "holds a task group or a cancel scope open from its start to its stop, which hooks of an "
    "object cannot: their scopes would close in the wrong order. Write it as a generator component "
    "or as an async context manager, which may"
)


async def none_left_open(
    name: str, start: Callable[[], Awaitable[Any]], stop: Callable[[], Awaitable[Any]]
) -> None:
    """Call the start hook of an object, and see that it closed what it opened.

    Raises:
        InvalidComponentError: it did not. Its stop was called, so that it could.

    """
    scope = anyio.CancelScope()
    before = _open_nurseries()
    scope.__enter__()
    error: BaseException | None = None
    try:
        await start()
    except BaseException as raised:  # noqa: BLE001  raised again below
        error = raised
    if _open_nurseries() != before or not _leave(scope, error):
        # Nobody but its stop can close what is open.
        try:
            await stop()
        except Exception as failure:  # noqa: BLE001  that is not what is to be mended first
            error = error or failure
        finally:
            _leave(scope, error)
        raise InvalidComponentError(name, LEFT_OPEN) from error
    if error is not None:
        raise error


def _leave(scope: anyio.CancelScope, error: BaseException | None) -> bool:
    """Leave a scope; says whether it could be left."""
    try:
        scope.__exit__(None if error is None else type(error), error, None)
    except RuntimeError:  # anyio's on asyncio: there is a scope inside that is still open
        return False
    return True


def _open_nurseries() -> int:
    if not in_trio():
        return 0
    import trio  # noqa: PLC0415  it runs, so it is there

    return len(trio.lowlevel.current_task().child_nurseries)
