"""What is granian's alone."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from granian.server import embed

from lifecycle import Outcome
from lifecycle.integrations.granian import _embedded
from lifecycle.integrations.granian._peers import shut_connections_to
from tests.edges.servers.kit import hello, run, shop_of

if TYPE_CHECKING:
    from lifecycle import System


def test_a_server_that_ends_by_itself_has_crashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Granian's own `serve` would simply return."""
    ready = anyio.Event()

    async def end(server: Any, *args: Any) -> None:
        await ready.wait()

    monkeypatch.setattr(embed.Server, "_serve_loop", end)
    shop, _ = shop_of("granian", hello)

    async def body(system: System) -> None:
        ready.set()
        await system.closed()

    report = run("asyncio", shop, body)

    assert report.outcome is Outcome.CRASHED
    assert "granian has ended by itself" in str(report.errors[0].__cause__)


def test_where_one_socket_is_not_served_any_more_the_server_has_crashed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others do not go on alone."""
    ready = anyio.Event()
    wait: Any = embed.Server._serve_loop  # noqa: SLF001  what is made to end
    loops: list[Any] = []

    async def end_first(server: Any, *args: Any) -> None:
        loops.append(server)
        if len(loops) > 1:
            await wait(server, *args)
        else:
            await ready.wait()

    monkeypatch.setattr(embed.Server, "_serve_loop", end_first)
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as another,
    ):
        shop, _ = shop_of("granian", hello, sockets=[one, another])

        async def body(system: System) -> None:
            ready.set()
            with anyio.move_on_after(30):
                await system.closed()

        report = run("asyncio", shop, body)

    assert report.outcome is Outcome.CRASHED
    assert len(loops) == 2


def test_a_server_that_cannot_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """What granian only logs is the cause; no descriptor is left."""

    async def fail(*args: Any) -> None:
        raise ValueError("no such protocol")

    monkeypatch.setattr(_embedded, "_serve_without_lifespan", fail)
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        shop, _ = shop_of("granian", hello, sockets=[one])

        report = run("asyncio", shop)

        assert report.outcome is Outcome.START_FAILED
        assert isinstance(report.errors[0].__cause__, ValueError)
        with socket.create_server(("127.0.0.1", port)):
            pass  # nobody has it any more


def test_a_certificate_that_is_missing(tmp_path: Any) -> None:
    """It is loaded before anything else is done."""
    files = {"ssl_cert": tmp_path / "missing", "ssl_key": tmp_path / "missing"}
    shop, _ = shop_of("granian", hello, **files)

    report = run("asyncio", shop)

    assert isinstance(report.errors[0].__cause__, FileNotFoundError)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  nothing is bound there
def test_only_connections_to_the_server_are_shut(host: str) -> None:
    """Neither those of others, nor the client's side of one, nor a listener."""
    with (
        socket.create_server(("127.0.0.1", 0)) as ours,
        socket.create_server(("127.0.0.1", 0)) as theirs,
        socket.create_connection(ours.getsockname()) as ours_client,
        socket.create_connection(theirs.getsockname()) as their_client,
        ours.accept()[0] as our_end,
        theirs.accept()[0] as their_end,
    ):
        port = ours.getsockname()[1]

        shut_connections_to([(host, port)])

        assert ours_client.recv(1) == b""
        their_end.sendall(b"x")
        assert their_client.recv(1) == b"x"
        with pytest.raises(BrokenPipeError):
            our_end.sendall(b"x")
        socket.create_connection(ours.getsockname()).close()
