"""On SIGTERM all probes vanished, and the pod was killed in the middle of a gRPC call of 30 s."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import grpc

from tests.e2e.kit import GENEROUS, running_program
from tests.edges.grpc.kit import NOT_SERVING, SERVING, checking, request, sync_connected

if TYPE_CHECKING:
    from collections.abc import Callable

GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
"""What is told who comes too late, or just when the server ends."""
ENDING = {"liveness": SERVING, "readiness": NOT_SERVING, "": NOT_SERVING, "startup": SERVING}


def probe(target: str) -> dict[str, Any] | None:
    """Ask everything, by a new connection, as a kubelet does; None: nobody is there."""
    with sync_connected(target) as channel:
        try:
            check = checking(channel)
            return {name: check(request(name), timeout=GENEROUS).status for name in ENDING}
        except grpc.RpcError as error:
            assert error.code() in GONE  # noqa: PT017  nobody is there
            return None


def polled(target: str, goes_on: Callable[[], bool]) -> list[dict[str, Any] | None]:
    """Ask again and again."""
    answers = []
    while goes_on():
        answers.append(probe(target))
        if answers[-1] is None:
            break
    return answers


def test_a_long_call_is_finished_while_probes_answer(backend: str) -> None:
    """Alive, and not ready, at every poll from the signal to the end of the call; exit code 0.

    On the server's own port as well, where kubelets are often told to ask; on the port of the
    companion until everything else has ended.
    """
    with running_program(__file__, "probes_outlive_drain_grpc", backend) as process:
        _, own, companion = process.until(r"> serves (\S+) (\S+)")[0].split()[1:]
        process.until(r" running$")
        assert {*(probe(own) or {}).values(), *(probe(companion) or {}).values()} == {SERVING}
        with sync_connected(own) as channel:
            call = channel.unary_unary("/shop.Orders/Pack").future(b"")
            process.until("> packs")

            process.send(signal.SIGTERM)
            process.until(" shutting down: ")
            answers = [one for _ in range(2) for one in (probe(own), probe(companion))]
            answers += polled(own, lambda: "packed" not in process.said)[:-1]
            assert call.result(GENEROUS) == b"packed"
            to_the_end = polled(companion, lambda: process.is_running)

        assert process.wait() == 0

    assert [ENDING] * len(answers) == answers
    assert len(answers) > 4
    assert [ENDING] * len(to_the_end[:-1]) == to_the_end[:-1]
    assert to_the_end[-1] in (ENDING, None)
    assert process.said[1:] == ["packs", "packed", "database closed"]
