"""What comes out of the code of one call, and is no error."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from lifecycle.integrations._contained import contained, contained_function

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

pytestmark = pytest.mark.anyio


async def test_a_cancellation_stays_one() -> None:
    """It goes to who has asked for it."""
    with anyio.CancelScope() as scope, contained("a test"):
        scope.cancel()
        await anyio.sleep_forever()

    assert scope.cancelled_caught


async def test_a_call_that_is_given_up_is_closed() -> None:
    """Its loop has ended, say; it has raised nothing, and nobody waits for what it would raise."""
    log: list[str] = []

    class Suspension:
        def __await__(self) -> Generator[None]:
            yield

    async def call() -> None:
        try:
            with contained("a test"):
                await Suspension()
        except BaseException as error:
            log.append(type(error).__name__)
            raise

    coroutine = call()
    coroutine.send(None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_close, coroutine)

    assert ["GeneratorExit"] == log


async def _close(coroutine: Any) -> None:
    coroutine.close()


async def test_the_end_of_an_iterator_is_told() -> None:
    """Asyncio keeps none in a future: who has called it would wait for ever."""
    nothing: Iterator[int] = iter(())
    call = contained_function("a test", lambda: next(nothing), is_stream=False)

    with pytest.raises(RuntimeError, match="a test has raised StopIteration"):
        await anyio.to_thread.run_sync(call)


def test_a_stream_that_nobody_reads_is_closed() -> None:
    """And so is what is inside, as its author expects."""
    log: list[str] = []

    def ticks() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            log.append("closed")

    stream = contained_function("a test", ticks, is_stream=True)()
    assert 1 == next(stream)
    del stream
    gc.collect()

    assert ["closed"] == log
    assert [1, 2] == list(contained_function("a test", ticks, is_stream=True)())
