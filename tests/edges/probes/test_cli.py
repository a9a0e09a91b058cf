"""`lifecycle probe`, as it stands in a HEALTHCHECK line or an exec probe."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import anyio.from_thread
import pytest

from lifecycle import Lifetime, Registry, Settings
from lifecycle.cli import main
from tests.edges.probes.kit import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENT = ["--timeout", "60"]
"""For those that get an answer, on a busy machine, too."""
NOT_READY = """\
ready: no (503), running
  cache: ready, answers: returned False
  broker: ready, unavailable: broker lost
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve a system that is healthy, and not quite ready."""
    shop = Registry("shop")
    shop.value("database", name="database")
    cache = shop.component(name="cache")(lambda: "cache")

    @cache.check
    async def answers(_: str) -> bool:
        return False

    @shop.service(optional=True)
    async def broker(life: Lifetime) -> None:
        life.started()
        life.unavailable("broker lost")
        await life.wait_draining()

    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(shop, Settings(check_timeout=600))) as both,
    ):
        yield f"127.0.0.1:{both[1].port}"


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIFECYCLE_PROBES", raising=False)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["ready"],
            1,
            NOT_READY,
        ),
        (["ready", "--component", "database"], 0, "ready: yes, running\n"),
        (
            ["ready", "--component", "database", "--component", "databse"],
            1,
            "ready: no (404), running: no component has that name\n  databse: unknown\n",
        ),
        (["health", "--component", "database"], 0, "health: yes, running\n"),
        (["startup", "--component", "database"], 0, "startup: yes, running\n"),
    ],
)
def test_the_exit_code_is_the_answer(
    address: str, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    """0 is yes, 1 is no; and it says who is not in order."""
    assert code == main(["probe", *arguments, "--address", address, *PATIENT])
    assert (words, "") == capsys.readouterr()


def test_ready_is_what_is_asked_by_default(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the address that the environment has for the service itself."""
    monkeypatch.setenv("LIFECYCLE_PROBES", address)
    assert 1 == main(["probe", *PATIENT])
    assert capsys.readouterr().out.startswith("ready: no (503), running\n")


def test_the_status_is_shown_whole(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, for people and for jq."""
    assert 0 == main(["probe", "status", "--address", address, *PATIENT])
    assert "shop" == json.loads(capsys.readouterr().out)["name"]


def test_nobody_there_is_a_no(capsys: pytest.CaptureFixture[str]) -> None:
    """The place is named."""
    with socket.socket() as other:  # it does not listen, and keeps others from doing so
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        assert 1 == main(["probe", "--address", f"127.0.0.1:{port}", *PATIENT])
    error = capsys.readouterr().err
    assert error.startswith(f"lifecycle: no answer from 127.0.0.1:{port}: ConnectionRefusedError")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
    ],
)
def test_somebody_else_there_is_a_no(capsys: pytest.CaptureFixture[str], answer: bytes) -> None:
    """Whatever it says: that a port is open says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def reply() -> None:
            connected, _ = other.accept()
            with connected:
                connected.recv(4096)
                connected.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert 1 == main(["probe", "--address", address, *PATIENT])
        thread.join()
    assert "lifecycle: no answer from 127.0.0.1:" in capsys.readouterr().err


def test_one_that_hangs_is_a_no(capsys: pytest.CaptureFixture[str]) -> None:
    """It is not waited for longer than it may take."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert 1 == main(["probe", "--address", address, "--timeout", "0.05"])
    assert re.search("TimeoutError: timed out", capsys.readouterr().err)


def test_an_address_has_to_be_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says where it stands."""
    assert 78 == main(["probe", "--address", "shop"])
    assert "--address is 'shop', but must be an address" in capsys.readouterr().err
    monkeypatch.setenv("LIFECYCLE_PROBES", "shop")
    assert 78 == main(["probe"])
    assert "LIFECYCLE_PROBES is 'shop', but must be an address" in capsys.readouterr().err


def test_it_needs_nothing_but_the_library(address: str) -> None:
    """No extra is loaded for it."""
    script = (
        "import sys; from lifecycle.cli import main; main(['probe', '--address', sys.argv[1]]);"
        "print('h11' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, address], capture_output=True, text=True, check=True
    )
    assert "False" == ran.stdout.splitlines()[-1]
