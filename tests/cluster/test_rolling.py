"""One rolling restart of a web server and of a gRPC server, under load.

`nox -s rolling` does ten of each server, bare ones too, and prints how many requests failed.
"""

from __future__ import annotations

import anyio

from tests.cluster.rolling import Outcome, roll
from tests.cluster.targets import TARGETS

NAMES = ("uvicorn, host", "grpc.aio, host, aging")


def test_nothing_fails() -> None:
    """Neither short requests on new connections or kept ones, nor long ones, nor streams."""
    outcomes: dict[str, Outcome] = {}

    async def one(name: str) -> None:
        (target,) = (target for target in TARGETS if target.name == name)
        outcomes[name] = await roll(target, restarts=1, replicas=2)

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            for name in NAMES:
                tasks.start_soon(one, name)

    anyio.run(both)

    for name in NAMES:
        outcome = outcomes[name]
        assert outcome.failed == 0, f"{outcome.counts}\n{outcome.said}"
        assert (outcome.exit_codes, outcome.killed) == ([0, 0], 0)
        assert all(counts.answered for counts in outcome.counts.values())
