"""A web server in a real process: what cannot be finished, and what goes wrong."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.kit import GENEROUS, SERVERS, Process, running_program

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Run each test with each of the servers."""
    name: str = request.param
    return name


def program(server: str, lifespan: str = "works") -> AbstractContextManager[Process]:
    """Run the server."""
    return running_program(__file__, "serves", *server.split(), lifespan)


def first_paragraph(process: Process) -> list[str]:
    """What a person reads first of the account."""
    return process.output.partition("lifecycle: ")[2].partition("\n\n")[0].splitlines()


def test_an_endless_stream_does_not_keep_the_process(server: str) -> None:
    """It is cut off in time, its client sees an end, everything is closed in order; exit 75."""
    with program(server) as process:
        url = process.until(r"web listens at (.*)$")[1]
        with httpx.stream("GET", url, timeout=GENEROUS, trust_env=False) as stream:
            chunks = stream.iter_raw()
            next(chunks)
            process.send(signal.SIGTERM)
            for _ in chunks:
                pass
        assert process.wait() == 75

    assert process.said == [
        "database opened",
        "stream ends",
        "lifespan ends",
        "database closed",
    ]
    summary, sentence, _ = first_paragraph(process)
    assert summary == (
        "The system was shut down, but not everything could be finished. Exit code 75."
    )
    expected = (
        r"  'web' still had 1 piece of work in flight when its [01](\.\d+)? s to drain ran out; "
        r"it was cancelled: 'GET /'"
    )
    assert re.fullmatch(expected, sentence)
    assert "Traceback" not in process.output


def test_a_lifespan_that_fails_to_start(server: str) -> None:
    """Exit 69 with the app's own exception, in one paragraph; what had started is stopped."""
    with program(server, "fails to start") as process:
        assert process.wait() == 69

    assert first_paragraph(process) == [
        "The system did not start, and what had started was stopped again. Exit code 69.",
        "  'web' did not start: NoDatabaseError: the database is not reachable",
    ]
    assert process.said == ["database opened", "database closed"]
    assert 'raise NoDatabaseError("the database is not reachable")' in process.output


def test_a_lifespan_that_fails_to_stop(server: str) -> None:
    """Exit 75, with the app's own exception; the others are closed all the same."""
    with program(server, "fails to stop") as process:
        process.until(r" running$")
        process.send(signal.SIGTERM)
        assert process.wait() == 75

    assert first_paragraph(process)[1:] == [
        "  the stop hook of 'web' failed: NoDatabaseError: the database is gone"
    ]
    assert process.said == ["database opened", "lifespan ends", "database closed"]


def test_a_signal_while_it_starts(server: str) -> None:
    """The lifespan unwinds, what had started is closed, and that is no failure."""
    with program(server, "hangs") as process:
        process.until(r"lifespan begins")
        process.send(signal.SIGTERM)
        assert process.wait() == 0

    assert process.said == [
        "database opened",
        "lifespan begins",
        "lifespan unwinds",
        "database closed",
    ]
