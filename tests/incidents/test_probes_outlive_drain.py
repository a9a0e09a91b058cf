"""On SIGTERM all probe endpoints vanished at once.

Kubernetes concluded that the pod was dead, and killed it in the middle of a call of 30 s.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.e2e.kit import GENEROUS, Process, running_program
from tests.edges.grpc.kit import NOT_SERVING, SERVING, checking, request, sync_connected

if TYPE_CHECKING:
    from pathlib import Path

    Answer = tuple[int, str | None]
    Poll = tuple[Answer, Answer]

LAST = ("> call ends", "> database closed", "companion probes stops", "> run returned")
"""What the program says at the end, in this order: the probes go last."""
ALIVE_ONLY = {"liveness": SERVING, "startup": SERVING, "readiness": NOT_SERVING, "": NOT_SERVING}
"""What `grpc.health.v1` says of a system that shuts down."""


@pytest.fixture
def end_of_call(tmp_path: Path) -> Path:
    """Make the FIFO that is written to when the slow call is to end."""
    path = tmp_path / "end of call"
    os.mkfifo(path)
    return path


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


def poll(port: int) -> Poll:
    """Ask /health and /ready."""
    return get(port, "/health")[:2], get(port, "/ready")[:2]


def polls(port: int) -> list[Poll]:
    """Ask again and again, until nobody answers."""
    found = []
    with contextlib.suppress(OSError, HTTPException):
        while True:
            found.append(poll(port))
    return found


def told(target: str) -> dict[str, int]:
    """Ask `grpc.health.v1` on a connection of its own."""
    with sync_connected(target) as channel:
        check = checking(channel)
        return {name: check(request(name), timeout=GENEROUS).status for name in ALIVE_ONLY}


def check_the_end(process: Process, found: list[Poll]) -> None:
    """See that the probes were alive and not ready at every poll, and went last."""
    assert {(200, 503)} == {(health[0], ready[0]) for health, ready in found}
    phases = [phase for health, ready in found for _, phase in (health, ready)]
    assert "draining" in phases
    order = ["delaying", "draining", "closing"]
    assert sorted(phases, key=lambda phase: order.index(phase or "")) == phases
    last = [line for line in process.lines if line.endswith(LAST)]
    assert list(LAST) == [next(end for end in LAST if line.endswith(end)) for line in last]


def test_the_probes_answer_until_the_call_has_ended(backend: str, end_of_call: Path) -> None:
    """`/health` 200 and `/ready` 503 at every poll from the signal to the end, with the phase."""
    program = running_program(__file__, "probes_outlive_drain", backend, str(end_of_call))
    with program as process:
        web = int(process.until(r"> web (\d+)")[1])
        port = int(process.until(r"> probes (\d+)")[1])
        process.until("running")
        assert [200, 200] == [get(port, path)[0] for path in ("/health", "/ready")]
        call = Call(web)
        process.until("> call begins")
        process.send(signal.SIGTERM)
        process.until("shutting down: received SIGTERM")

        found = [poll(port)]
        process.until("draining")
        found.append(poll(port))
        end_of_call.write_bytes(b"now")
        found += polls(port)

        assert process.wait() == 0
        call.join(GENEROUS)
    assert (200, b"the result") == (call.result and (call.result[0], call.result[2]))
    check_the_end(process, found)


def test_the_probes_answer_until_the_grpc_call_has_ended(backend: str, end_of_call: Path) -> None:
    """By HTTP, and by gRPC: also on the server's own port, where kubelets are often told to ask."""
    program = running_program(__file__, "probes_outlive_drain_grpc", backend, str(end_of_call))
    with program as process, contextlib.ExitStack() as stack:
        _, web, health, port = process.until(r"> serves (\S+) (\S+) (\d+)")[0].split()[-4:]
        process.until("running")
        assert {*told(web).values(), *told(health).values()} == {SERVING}
        channel = stack.enter_context(sync_connected(web))
        call = channel.unary_unary("/shop.Orders/Slow").future(b"")
        process.until("> call begins")
        process.send(signal.SIGTERM)
        process.until("shutting down: received SIGTERM")

        answers = [told(one) for _ in range(5) for one in (web, health)]
        found = [poll(int(port))]
        process.until("draining")
        answers += [told(one) for _ in range(5) for one in (web, health)]
        found += [poll(int(port))]
        end_of_call.write_bytes(b"now")
        found += polls(int(port))

        assert process.wait() == 0
        assert call.result(GENEROUS) == b"the result"
        assert [ALIVE_ONLY] * 20 == answers
        with pytest.raises(grpc.RpcError):
            told(health)
    check_the_end(process, found)
