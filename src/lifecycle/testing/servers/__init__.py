"""What a server promises as a component: for those who write the integration of one.

::

    from lifecycle.testing import servers
    from lifecycle_daphne import server

    @pytest.mark.parametrize("promise", servers.PROMISES, ids=str)
    def test_daphne(promise: servers.Promise) -> None:
        promise.check(server, backend="asyncio")

Each promise is checked with real sockets and in real time, in a system of its own; most take a
fraction of a second. What is not kept raises :class:`PromiseNotKeptError`, which says what was
expected, what came instead, and what had happened until then.
"""

from __future__ import annotations

from lifecycle.testing.servers import _draining, _running, _starting, _stopping, _websockets
from lifecycle.testing.servers._promise import Backend, Promise, PromiseNotKeptError
from lifecycle.testing.servers._stage import MakesServer, Server

PROMISES: tuple[Promise, ...] = (
    *_starting.PROMISES,
    *_running.PROMISES,
    *_draining.PROMISES,
    *_websockets.PROMISES,
    *_stopping.PROMISES,
)
"""All that a server has to keep, in the order of its life."""

__all__ = ["PROMISES", "Backend", "MakesServer", "Promise", "PromiseNotKeptError", "Server"]
