"""What becomes of integrations where asyncio tears its event loop down: it cancels every task."""

from __future__ import annotations

import pytest

from tests.e2e.kit import GENEROUS, running_program

TORN_DOWN = [
    "uvicorn asyncio",
    "hypercorn asyncio",
    "hypercorn uvloop",
    "granian asyncio",
    "grpc asyncio",
    "grpc uvloop",
    "sync_grpc asyncio",
    "process asyncio",
]


@pytest.mark.rule("D10", "K2")
@pytest.mark.parametrize("name", TORN_DOWN)
def test_a_teardown_at_any_moment_ends_everything(name: str) -> None:
    """At each turn of the loop, in the start as in the end: nothing hangs, and nothing is left."""
    with running_program(__file__, "teardown", *name.split()) as process:
        assert 0 == process.wait(3 * GENEROUS), process.output
        assert ["over"] == process.said
