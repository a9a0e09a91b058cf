"""What a probe is told from the moment of the signal on."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time

import pytest

from tests.e2e.kit import running_program
from tests.edges.probes.kit import GENEROUS

CLIENTS = 4
UNAVAILABLE = 503
ENOUGH = 50
"""So many answers come before the signal."""


class Clients:
    """Threads that ask again and again, each time on a new connection."""

    def __init__(self, port: int) -> None:
        self.answers: list[tuple[float, int]] = []
        """When the client began to connect, and the code that it got."""
        self.enough = threading.Event()
        self.refused = threading.Event()
        """Set when one of them was told 503."""
        self._port = port
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until none of them gets an answer any more."""
        for thread in self._threads:
            thread.join(GENEROUS)
            assert not thread.is_alive()

    def _run(self) -> None:
        with contextlib.suppress(OSError, IndexError):
            while True:
                began = time.monotonic()
                with socket.create_connection(("127.0.0.1", self._port), GENEROUS) as raw:
                    raw.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                    code = int(raw.recv(4096).split()[1])
                self.answers.append((began, code))
                if code == UNAVAILABLE:
                    self.refused.set()
                if len(self.answers) >= ENOUGH:
                    self.enough.set()


@pytest.mark.rule("D1", "P1")
@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_no_200_once_the_handler_has_run(backend: str) -> None:
    """Not for one who connects after that, however busy the service is; and 200s only before."""
    with running_program(__file__, "under_load", backend) as process:
        port = int(process.until(r"> port (\d+)")[1])
        process.until("running")
        clients = Clients(port)
        assert clients.enough.wait(GENEROUS)
        process.send(signal.SIGTERM)
        assert clients.refused.wait(GENEROUS)
        process.send(signal.SIGINT)  # the end of its delay
        assert process.wait() == 0
        clients.join()
    handled_at = float(process.until(r"> handled at (.*)")[1])

    after = [(began - handled_at, code) for began, code in clients.answers if began > handled_at]
    assert ENOUGH <= len(clients.answers)
    assert {503} == {code for _, code in after}
    assert {200, 503} == {code for _, code in clients.answers}
