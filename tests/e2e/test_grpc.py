"""A gRPC server in a real process: what cannot be finished, and a signal that comes early."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.e2e.kit import GENEROUS, Process, running_program
from tests.edges.grpc.kit import sync_connected

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

LOST = "The system was shut down, but not everything could be finished. Exit code 75."
ON_ASYNCIO = pytest.mark.parametrize("backend", ["asyncio", "uvloop"])


def program(backend: str, what: str) -> AbstractContextManager[Process]:
    """Run the server."""
    return running_program(__file__, "serves_grpc", backend, what)


def first_paragraph(process: Process) -> list[str]:
    """What a person reads first of the account."""
    return process.output.partition("lifecycle: ")[2].partition("\n\n")[0].splitlines()


@ON_ASYNCIO
def test_a_signal_while_it_starts(backend: str) -> None:
    """What has begun is given up, and what had started is closed; nothing is lost, so exit 0."""
    with program(backend, "hangs") as process:
        process.until("> hangs")
        process.send(signal.SIGTERM)
        assert process.wait() == 0

    assert process.said == ["hangs", "gives up", "database closed"]


@ON_ASYNCIO
def test_an_endless_stream_does_not_keep_the_process(backend: str) -> None:
    """It is cut off in time, its client is told, everything is closed in order; exit 75."""
    with program(backend, "endless") as process:
        target = process.until(r"web listens at (.*)$")[1]
        process.until(r" running$")
        with sync_connected(target) as channel:
            stream = channel.unary_stream("/shop.Orders/Endless")(b"", timeout=GENEROUS)
            next(stream)
            process.send(signal.SIGTERM)
            with pytest.raises(grpc.RpcError) as caught:
                list(stream)
        assert process.wait() == 75

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert process.said == ["stream ends", "database closed"]
    summary, sentence, _ = first_paragraph(process)
    expected = (
        r"  'web' still had 1 piece of work in flight when its [01](\.\d+)? s to drain ran out; "
        r"it was cancelled: '/shop.Orders/Endless'"
    )
    assert summary == LOST
    assert re.fullmatch(expected, sentence)
    assert "Traceback" not in process.output


def test_a_stuck_thread_does_not_keep_the_process(backend: str) -> None:
    """It ends in time with the thread, which is named with its call; exit 75."""
    with program(backend, "stuck") as process:
        target = process.until(r"web listens at (.*)$")[1]
        process.until(r" running$")
        with sync_connected(target) as channel:
            call = channel.unary_unary("/shop.Orders/Stuck").future(b"")
            process.until("> stuck")
            process.send(signal.SIGTERM)
            assert process.wait() == 75
            assert call.code() is grpc.StatusCode.UNAVAILABLE

    assert process.said == ["stuck", "database closed"]
    assert first_paragraph(process)[0] == LOST
    assert "'/shop.Orders/Stuck' in its thread, at" in process.output
    assert "    threading.Event().wait()" in process.lines
    assert "the stop hook of 'web' had not ended after 0.5 s" in process.output
