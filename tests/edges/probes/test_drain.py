"""A preStop hook asks a service to leave rotation, and comes back when nobody is sent there."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Outcome, Registry, Settings, System
from lifecycle.cli import main
from lifecycle.probes import drain, status_app
from lifecycle.probes.openapi import description
from lifecycle.states import Phase
from tests.e2e.kit import running_program
from tests.edges.calls import Call
from tests.edges.probes.kit import LONG, get, serving
from tests.edges.probes.test_openapi import misfits
from tests.engine.kit import Spy

if TYPE_CHECKING:
    from tests.engine.kit import Life

SIGTERM = 15
PATIENT = ["--timeout", "60"]
"""For those that get an answer, on a busy machine, too."""
OF_OTHERS = ["Forwarded", "Via", "X-Forwarded-For", "X-Real-IP", "Origin", "Sec-Fetch-Site"]


def ask(system: System, method: str = "POST", *, from_here: bool = True) -> dict[str, Any]:
    """Ask, and read the answer."""
    answer: dict[str, Any] = json.loads(drain.respond(system, method, from_here=from_here).body)
    return answer


@pytest.mark.anyio
@pytest.mark.rule("D1", "D2", "P1")
async def test_it_is_a_request_to_shut_down() -> None:
    """Not ready when the answer comes, and serving all the same, for as long as it says."""
    document = description()
    async with serving(None, LONG) as (system, server):
        reply = await get(server, "/drain", method="POST")
        ready, health = await get(server, "/ready"), await get(server, "/health")
        phase = system.status().phase

    assert (200, "delaying") == (reply.code, reply.headers["lifecycle-phase"])
    assert ("delaying", "asked to drain") == (reply.json["phase"], reply.json["reason"])
    assert 400 < reply.json["delay_left"] <= 500
    assert [] == misfits(reply.json, document["components"]["schemas"]["Draining"], document)
    assert (503, 200, Phase.DELAYING) == (ready.code, health.code, phase)


@pytest.mark.rule("D1", "D11")
def test_the_delay_is_spent_once(life: Life) -> None:
    """The SIGTERM that comes when it is over changes nothing, and neither does asking again.

    The grace period is counted from the first of them, as the platform does.
    """

    async def body(system: System) -> list[float]:
        left = [ask(system)["delay_left"]]
        await anyio.sleep(2)
        left.append(ask(system)["delay_left"])
        await anyio.sleep(1)
        system.signal(SIGTERM)
        await system.wait_draining()
        life.note("draining")
        left.append(ask(system)["delay_left"])
        life.note(f"{system.status().time_left:g} s left")
        return left

    settings = Settings(drain_delay=5, grace_period=30)
    lived = life.live(Registry("shop"), body, settings, observers=[life.observe])

    assert [5, 3, 0] == lived.result
    assert [
        "0 asked to shut down: asked to drain",
        "0 = delaying",
        "5 = draining",
        "5 draining",
        "5 25 s left",
        "5 = closing",
        "5 = closed",
        "5 closed: clean, 0",
    ] == life.log[2:]


@pytest.mark.rule("S6")
def test_a_service_that_starts_is_not_waited_for(life: Life) -> None:
    """Nobody is sent there yet; what has started is stopped again."""
    shop = Registry("shop")
    spy = Spy()

    @shop.component
    async def database() -> str:
        life.note(f"{ask(Lifetime[Any].current().system)}")
        return "database"

    life.live(shop, None, Settings(drain_delay=5), companions=[spy])

    (answer,) = [line for line in life.words if line.startswith("{")]
    assert str({"phase": "closing", "reason": "asked to drain", "delay_left": 0.0}) == answer
    assert Outcome.CLEAN is spy.report.outcome


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::1%lo", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104  nothing is bound
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
def test_who_is_on_the_same_machine(host: str, is_here: bool) -> None:  # noqa: FBT001  expected
    """Loopback, however it is written, and nobody else."""
    assert is_here is drain.is_from_here(host, [])


@pytest.mark.anyio
@pytest.mark.parametrize("header", OF_OTHERS)
async def test_nobody_else_can_ask(header: str) -> None:
    """Neither through a proxy, nor by a page in a browser on the same machine."""
    async with serving() as (_, server):
        reply = await get(server, "/drain", method="POST", more=f"{header}: example.org\r\n")
        ready = await get(server)

    assert 403 == reply.code
    assert "only who is on the same machine can ask for this" == reply.json["error"]
    assert 200 == ready.code


def test_nor_from_another_machine(life: Life) -> None:
    """And the system runs on."""

    async def body(system: System) -> bool:
        ask(system, from_here=False)
        return system.status().ready

    assert life.live(Registry("shop"), body).result


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"])
async def test_only_a_post_does_anything(method: str) -> None:
    """A link, or a probe, does not."""
    async with serving() as (_, server):
        reply = await get(server, "/drain", method=method)
        ready = await get(server)

    assert (405, "POST", 200) == (reply.code, reply.headers["allow"], ready.code)


def test_not_through_the_service_itself(life: Life) -> None:
    """`status_app` is for everybody who can reach the service, and has no such path."""

    async def body(system: System) -> tuple[Any, bool]:
        call = Call(path="/drain", method="POST")
        await call(status_app(system))
        return call.answer[0], system.status().ready

    assert (404, True) == life.live(Registry("shop"), body).result


# --- the command line ----------------------------------------------------------------------------


def test_the_command_returns_when_the_delay_is_over() -> None:
    """Then comes SIGTERM, as from a kubelet; the service has ended its delay already, and ends."""
    with running_program(__file__, "drained") as process:
        port = process.until(r"probes are answered at 127\.0\.0\.1:(\d+)")[1]
        process.until("> running")
        command = [sys.executable, "-m", "lifecycle", "drain", "--address", f":{port}", *PATIENT]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        # What is in flight keeps it, so that there is somebody to get the signal.
        process.until("> draining")
        process.send(SIGTERM)
        process.until("> told by SIGTERM")
        assert process.wait() == 0

    assert (0, "") == (ran.returncode, ran.stderr)
    assert ran.stdout.startswith("drain: delaying, ")
    assert ran.stdout.endswith(" s left: asked to drain\n")
    assert ["running", "delaying", "draining", "told by SIGTERM", "closing", "closed"] == (
        process.said
    )


def test_nobody_there_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """The place is named."""
    with socket.socket() as other:  # it does not listen, and keeps others from doing so
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        assert 1 == main(["drain", "--address", f"127.0.0.1:{port}", *PATIENT])
    error = capsys.readouterr().err
    assert error.startswith(f"lifecycle: no answer from 127.0.0.1:{port}: ConnectionRefusedError")


def test_a_refusal_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Its reason is shown."""
    content = json.dumps({"error": "not you", "phase": "running"}).encode()
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(content)
    with socket.create_server(("127.0.0.1", 0)) as other:

        def reply() -> None:
            connected, _ = other.accept()
            with connected:
                connected.recv(4096)
                connected.sendall(head + content)

        thread = threading.Thread(target=reply)
        thread.start()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert 1 == main(["drain", "--address", address, *PATIENT])
        thread.join()
    assert capsys.readouterr().err == "lifecycle: not drained (403): not you\n"
