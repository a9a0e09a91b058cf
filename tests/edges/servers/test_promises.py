"""What all servers promise, of each of ours, on each event loop on which it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lifecycle.integrations import granian, hypercorn, uvicorn
from lifecycle.testing import servers

if TYPE_CHECKING:
    from lifecycle.testing.servers import Backend, MakesServer, Promise

SERVERS: dict[str, tuple[MakesServer, tuple[Backend, ...]]] = {
    "uvicorn": (uvicorn.server, ("asyncio", "uvloop")),
    "granian": (granian.server, ("asyncio", "uvloop")),
    "hypercorn": (hypercorn.server, ("asyncio", "uvloop", "trio")),
}


@pytest.mark.parametrize("promise", servers.PROMISES, ids=str)
@pytest.mark.parametrize(
    ("name", "backend"),
    [(name, backend) for name, (_, backends) in SERVERS.items() for backend in backends],
)
def test_promises(name: str, backend: Backend, promise: Promise) -> None:
    """Each promise says itself what it promises."""
    make, _ = SERVERS[name]
    promise.check(make, backend=backend)
