"""Running a coroutine one step at a time, so that something can happen between two of them.

A step is what runs from one ``await`` that waits to the next. Alike on asyncio and trio: what the
coroutine yields to the event loop is passed through, and what the loop answers is passed back.
"""

from __future__ import annotations

import inspect
import re
import sys
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import attrs

from lifecycle.testing._stacks import frames

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@attrs.frozen(eq=False)
class Step:
    """What is about to run."""

    number: int
    """From 1: what runs before the first wait is no step."""
    coroutine: Any
    """What will run; it is still suspended."""
    error: BaseException | None
    """What the loop raises at the ``await``, where it does: a cancellation, mostly."""

    @property
    def may_raise(self) -> bool:
        """Whether what is awaited may end with any error.

        Not so the end of a task group, which waits for its tasks: where that is broken off, they go
        on, and no event loop survives it.
        """
        return not any(
            frame.f_code.co_name == "__aexit__" and _GROUPS.search(frame.f_code.co_filename)
            for frame in frames(self.coroutine)
        )


class Stepped:
    """An awaitable that awaits another one, step by step."""

    def __init__(
        self,
        awaitable: Awaitable[Any],
        between: Callable[[Step], Awaitable[None] | None],
        waits: Callable[[int], None] | None = None,
    ) -> None:
        """Prepare it.

        Args:
            awaitable: what is awaited.
            between: called whenever the loop resumes it. What it returns is awaited first, in the
                same task; what that raises is raised at the ``await`` that was to end there, in
                place of its answer.
            waits: called whenever it is about to wait, with the number of that wait, from 1.

        """
        self.since: float | None = None
        """Since when a step has been running, by the real clock; None between two."""
        self._awaitable = awaitable
        self._between = between
        self._waits = waits

    def __await__(self) -> Generator[Any, Any, Any]:
        """Await it."""
        coroutine = _coroutine(self._awaitable)
        return _Transparent(self._run(coroutine), coroutine)

    def _run(self, coroutine: Any) -> Generator[Any, Any, Any]:
        number, answer, error = 0, None, None
        try:
            while True:
                self.since = time.monotonic()
                try:
                    asked = coroutine.throw(error) if error else coroutine.send(answer)
                except StopIteration as ended:
                    return ended.value
                finally:
                    self.since = None
                answer, error = None, None
                if self._waits is not None:
                    self._waits(number + 1)
                try:
                    answer = yield asked
                except BaseException as raised:  # noqa: BLE001  the loop's: a cancellation, mostly
                    error = raised
                number += 1
                first = self._between(Step(number, coroutine, error or _error_in(answer)))
                if first is not None:
                    try:
                        yield from first.__await__()
                    except BaseException as raised:  # noqa: BLE001  it is what was asked for
                        error = raised
        finally:
            coroutine.close()


def _error_in(answer: Any) -> BaseException | None:
    """What trio has the `await` raise: it answers with that, where asyncio throws it."""
    outcome = sys.modules.get("outcome")  # trio's; it is there where trio is
    if outcome is None or not isinstance(answer, outcome.Error):
        return None
    error: BaseException = answer.error
    return error


class _Transparent(Generator[Any, Any, Any]):
    """A generator that shows what it runs, as one does that delegates to another.

    Who follows what is awaited, to show a stack, finds it.
    """

    def __init__(self, generator: Generator[Any, Any, Any], runs: Any) -> None:
        self._generator = generator
        self.gi_yieldfrom = runs

    def send(self, value: Any, /) -> Any:
        return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        return self._generator.throw(*error)

    def close(self) -> None:
        self._generator.close()


def _coroutine(awaitable: Awaitable[Any]) -> Any:
    if inspect.iscoroutine(awaitable):
        return awaitable

    async def wait() -> Any:
        return await awaitable

    return wait()


_GROUPS: Final = re.compile(r"[/\\](trio|anyio|asyncio)[/\\]")
