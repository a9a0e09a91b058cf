"""The Temporal client was closed while workers still ran activities, and their results were lost.

`grpc: the client connection is closing` was all that was left of them.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kit import Process, running_program
from tests.edges.temporal.frontend import Outcome, serving

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

ACTIVITIES = {"activity 1", "activity 2", "activity 3"}


def program(*args: str) -> AbstractContextManager[Process]:
    """Run the program of these tests."""
    return running_program(__file__, "client_outlives_work", *args)


def test_every_result_is_delivered_before_the_client_is_closed(backend: str) -> None:
    """What takes work in stops first, work in flight ends, and only then is anything closed."""
    with program(backend) as process:
        process.until("> activity", times=3)
        process.send(signal.SIGTERM)

        assert process.wait() == 0
    assert {*process.said[:3]} == ACTIVITIES
    assert process.said[3] == "polls no more"
    # In any order: on a machine that is busy several of them may be due at once.
    assert {*process.said[4:7]} == {f"delivered: {one}" for one in ACTIVITIES}
    assert process.said[7:] == ["client closed", "run returned"]


def test_work_that_is_cut_off_still_has_its_client(backend: str) -> None:
    """It can say what became of it; the code is 75, and it is named: lost work is never silent."""
    with program(backend, "endless") as process:
        process.until("> activity", times=3)
        process.send(signal.SIGTERM)

        assert process.wait() == 75
    assert {*process.said[:3]} == ACTIVITIES
    assert process.said[3] == "polls no more"
    assert {*process.said[4:7]} == {f"delivered: {one} was cancelled" for one in ACTIVITIES}
    assert process.said[7:] == ["client closed"]
    account = process.output.partition("lifecycle: The system was shut down")[2]
    assert "'worker' still had 3 pieces of work in flight" in account
    assert all(repr(one) in account for one in ACTIVITIES)


# --- with Temporal's own software, over real gRPC -------------------------------------------------


def test_the_result_that_was_lost() -> None:
    """What happened: the connection is closed first, and the result of a finished activity is lost.

    The worker tries to deliver it for nine seconds; Temporal never hears of it.
    """
    with (
        serving() as temporal,
        running_program(__file__, "temporal", "by_hand", temporal.target) as process,
    ):
        lost = temporal.add("charges", "charge", 1)
        process.until("> activity 1")
        process.send(signal.SIGTERM)

        # With which code is not looked at: Temporal's threads go on trying while the interpreter
        # ends, which has aborted it once (Python 3.13).
        process.wait()
        assert ["activity 1", "connection closed", "worker ended"] == process.said
        assert lost not in temporal.outcomes


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_same_result_delivered(loop: str) -> None:
    """What happens now: twenty activities, and twenty results; the connection is closed last."""
    orders = range(1, 21)
    with (
        serving() as temporal,
        running_program(__file__, "temporal", loop, temporal.target) as process,
    ):
        tokens = [temporal.add("charges", "charge", order) for order in orders]
        process.until("> activity", times=20)
        process.send(signal.SIGTERM)

        assert process.wait() == 0
        assert {f"activity {order}" for order in orders} == {*process.said[:20]}
        assert ["connection closed", "run returned"] == process.said[20:]
        assert temporal.outcomes == {
            token: Outcome("completed", f"charged {order}")
            for token, order in zip(tokens, orders, strict=True)
        }
