"""A process that has no file descriptor left is one that a probe has to be answered for."""

from __future__ import annotations

import contextlib
import signal
import socket
from http.client import HTTPConnection

import pytest

from tests.e2e.kit import running_program
from tests.edges.probes.kit import GENEROUS


def get(port: int, path: str) -> int:
    """Ask on a new connection."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=GENEROUS)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


@pytest.mark.rule("P4")
@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_a_probe_is_answered_without_a_descriptor_to_spare(backend: str) -> None:
    """One is kept back for it, and idle connections go for it; also while it shuts down."""
    with running_program(__file__, "no_descriptors", backend) as process:
        process.until("> no descriptor is left: Too many open files")
        port = int(process.until(r"> port (\d+)")[1])
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                assert [(200, 200)] * 5 == [
                    (get(port, "/health"), get(port, "/ready")) for _ in range(5)
                ]
                for _ in range(5):  # who is idle, or still at the door, keeps nobody out
                    idle = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                    idle.sendall(b"GET /rea")
        process.send(signal.SIGTERM)
        process.until("delaying")
        assert (200, 503) == (get(port, "/health"), get(port, "/ready"))
        process.send(signal.SIGINT)
        assert process.wait() == 0
    assert "probes are answered with the last file descriptor" in process.output
