"""Answers are tested in virtual time, the server over real sockets on every event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.from_thread
import pytest

from lifecycle import Registry
from lifecycle.probes import Bounds
from tests.edges.probes.kit import GENEROUS, serving
from tests.engine.kit import BACKENDS, Life

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=BACKENDS)
def life(request: pytest.FixtureRequest) -> Life:
    """What runs systems in virtual time."""
    return Life(request.param)


LOOPS: dict[str, Any] = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


@pytest.fixture(params=LOOPS.values(), ids=list(LOOPS))
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test of the server on every event loop."""
    return request.param


@pytest.fixture(scope="module", params=LOOPS.values(), ids=list(LOOPS))
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Serve in a thread for a whole module, with bounds that a fuzzer meets; give the port.

    The system is in order; one of its components has an odd name.
    """
    shop = Registry("shop")
    for name in ("database", "käse & brot"):
        shop.value(name, name=name)
    bounds = Bounds(connections=20, head=2048, body=512, request_time=GENEROUS)
    with (
        anyio.from_thread.start_blocking_portal(*request.param) as portal,
        portal.wrap_async_context_manager(serving(shop, bounds=bounds)) as both,
    ):
        yield both[1].port
