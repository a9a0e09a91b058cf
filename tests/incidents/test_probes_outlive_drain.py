"""On SIGTERM all probe endpoints vanished at once.

Kubernetes concluded that the pod was dead, and killed it in the middle of a call of 30 s.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from http.client import HTTPConnection, HTTPException

from tests.e2e.kit import GENEROUS, running_program

LAST = ("> call ends", "> database closed", "companion probes stops", "> run returned")
"""What the program says at the end, in this order: the probes go last."""


def get(port: int, path: str) -> tuple[int, str | None, bytes]:
    """Ask on a connection of its own: the code, the phase, and the body."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=GENEROUS)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.getheader("lifecycle-phase"), response.read()


class Call(threading.Thread):
    """A slow call, and its result."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.result: tuple[int, str | None, bytes] | None = None
        self.start()

    def run(self) -> None:
        self.result = get(self.port, "/slow")


def polls(port: int) -> list[tuple[tuple[int, str | None], tuple[int, str | None]]]:
    """Ask /health and /ready again and again, until nobody answers."""
    found = []
    with contextlib.suppress(OSError, HTTPException):
        while True:
            found.append((get(port, "/health")[:2], get(port, "/ready")[:2]))
    return found


def test_the_probes_answer_until_the_call_has_ended(backend: str) -> None:
    """`/health` 200 and `/ready` 503 at every poll from the signal to the end, with the phase."""
    with running_program(__file__, "probes_outlive_drain", backend) as process:
        web = int(process.until(r"> web (\d+)")[1])
        port = int(process.until(r"> probes (\d+)")[1])
        process.until("running")
        assert [200, 200] == [get(port, path)[0] for path in ("/health", "/ready")]
        call = Call(web)
        process.until("> call begins")
        process.send(signal.SIGTERM)
        process.until("shutting down: received SIGTERM")

        found = polls(port)

        assert process.wait() == 0
        call.join(GENEROUS)
    assert (200, b"the result") == (call.result and (call.result[0], call.result[2]))
    assert {(200, 503)} == {(health[0], ready[0]) for health, ready in found}
    phases = [phase for health, ready in found for _, phase in (health, ready)]
    assert "draining" in phases
    order = ["delaying", "draining", "closing"]
    assert sorted(phases, key=lambda phase: order.index(phase or "")) == phases
    last = [line for line in process.lines if line.endswith(LAST)]
    assert list(LAST) == [next(end for end in LAST if line.endswith(end)) for line in last]
