"""A worker that does its work through a client."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, Settings, requires
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
ENDLESS = "endless" in sys.argv
temporal = Registry("temporal")


class Client:
    """A connection, without which no result can be delivered."""

    def __init__(self) -> None:
        """Is open."""
        self.is_open = True

    def complete(self, result: str) -> None:
        """Deliver a result."""
        if not self.is_open:
            message = "grpc: the client connection is closing"
            raise ConnectionError(message)
        say("delivered:", result)


@temporal.component
async def client() -> AsyncIterator[Client]:
    """Closes quickly, so that a wrong order shows."""
    client = Client()
    yield client
    client.is_open = False
    say("client closed")


@temporal.service(drain_timeout=1 if ENDLESS else 20)
async def worker(life: Lifetime, client: Client = requires(client)) -> None:
    """Polls for activities until it drains, and finishes those that it has."""

    async def activity(number: int) -> None:
        with life.hold(f"activity {number}"):
            say("activity", number)
            await life.wait_draining()
            if ENDLESS:
                try:
                    await anyio.sleep_forever()
                finally:
                    client.complete(f"activity {number} was cancelled")
            await anyio.sleep(0.3 * number)
            client.complete(f"activity {number}")

    async with anyio.create_task_group() as activities:
        for number in (1, 2, 3):
            activities.start_soon(activity, number)
        life.started()
        await life.wait_draining()
        say("polls no more")


lifecycle.run(temporal, Settings(grace_period=30), backend=BACKEND)
say("run returned")
