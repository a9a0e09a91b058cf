"""What all servers promise, of each of ours, on each event loop on which it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lifecycle.testing import servers
from tests.edges.servers.kit import ON_EACH, SERVERS

if TYPE_CHECKING:
    from lifecycle.testing.servers import Backend, Promise

pytestmark = pytest.mark.filterwarnings(
    "ignore:remove second argument:DeprecationWarning"  # old uvicorn, of old websockets
)


@pytest.mark.parametrize("promise", servers.PROMISES, ids=str)
@pytest.mark.parametrize(("name", "backend"), ON_EACH)
def test_promises(name: str, backend: Backend, promise: Promise) -> None:
    """Each promise says itself what it promises."""
    make, _ = SERVERS[name]
    promise.check(make, backend=backend)
