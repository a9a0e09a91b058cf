"""What comes out of the code of one call, and is no error, made one: it ends that call only.

In the task that a server has for a call, a ``SystemExit`` ends the event loop, and so everything
that runs there. Servers log an ``Exception``, and answer it.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from lifecycle.errors import is_only

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")


@contextlib.contextmanager
def contained(what: str) -> Generator[None]:
    """Make an error of what is none; a cancellation stays one.

    Args:
        what: what the code is, for a person.

    Raises:
        RuntimeError: it was none.

    """
    task = anyio.get_current_task()
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        if _closes(error, task) or is_only(error, (anyio.get_cancelled_exc_class(),)):
            raise
        raise RuntimeError(_message(what, error)) from error


@contextlib.contextmanager
def contained_in_thread(what: str) -> Generator[None]:
    """Do the same in a thread, where nothing is cancelled."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(_message(what, error)) from error


def contained_function(what: str, function: Any, *, is_stream: bool) -> Callable[..., Any]:
    """Put that around a function that is called in a thread.

    Args:
        what: what it is, for a person.
        function: the function.
        is_stream: whether it returns an iterable, which is gone through in a thread, too.

    """

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        with contained_in_thread(what):
            try:
                given = function(*args)
            except StopIteration as error:
                # Asyncio puts it into no future: who waits for the thread would wait for ever.
                raise RuntimeError(_message(what, error)) from error
        return _steps(what, given) if is_stream and given is not None else given

    return call


def _steps(what: str, items: Iterable[T]) -> Generator[T]:
    with contained_in_thread(what):
        iterator = iter(items)
    try:
        while True:
            with contained_in_thread(what):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item
    except GeneratorExit:
        # It is this one that is closed: what is inside is closed with it, as by `yield from`.
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
        raise


def _closes(error: BaseException, task: anyio.TaskInfo) -> bool:
    """Whether the task has been given up, and is closed: no code of its own runs then."""
    if not isinstance(error, GeneratorExit):
        return False
    try:
        return anyio.get_current_task() != task
    except Exception:  # noqa: BLE001  there is no event loop, or no task: each says so in its way
        return True


def _message(what: str, error: BaseException) -> str:
    return f"{what} has raised {error!r}, which ends the call, and nothing else"
