"""Where a probe server listens."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import lifecycle
from lifecycle import Registry, Settings
from lifecycle.errors import SettingsError, StartError
from lifecycle.probes import ProbeServer, companions
from tests.edges.probes.kit import get, serving
from tests.engine.kit import Spy
from tests.ports import held_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@contextlib.contextmanager
def taken() -> Iterator[int]:
    """A port at which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


async def reached(host: str, port: int) -> bool:
    """Whether a probe is answered there."""
    async with await anyio.connect_tcp(host, port) as stream:
        await stream.send(b"GET /health HTTP/1.0\r\n\r\n")
        return (await stream.receive()).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.rule("S1")
async def test_it_is_up_before_the_first_preflight_check() -> None:
    """And answers: healthy, and neither ready nor started."""
    server, shop, found = ProbeServer("127.0.0.1:0"), Registry("shop"), dict[str, Any]()

    @shop.preflight
    async def check() -> None:
        for path in ("/health", "/ready", "/startup"):
            reply = await get(server, path)
            found[path] = (reply.code, reply.headers["lifecycle-phase"])

    async with lifecycle.running(shop, companions=[server]):
        pass

    assert {
        "/health": (200, "preflight"),
        "/ready": (503, "preflight"),
        "/startup": (503, "preflight"),
    } == found


async def test_the_port_is_known_once_it_is_bound(caplog: pytest.LogCaptureFixture) -> None:
    """To the program, and to who reads the log."""
    server = ProbeServer("127.0.0.1:0")
    with pytest.raises(RuntimeError, match="the port is not known before the system runs"):
        _ = server.port
    assert not server.addresses

    with caplog.at_level(logging.INFO, "lifecycle"):
        async with lifecycle.running(Registry("shop"), companions=[server]):
            assert (("127.0.0.1", server.port),) == server.addresses
            assert await reached("127.0.0.1", server.port)

    assert f"probes are answered at 127.0.0.1:{server.port}" in caplog.messages


async def test_without_a_host_it_is_every_interface() -> None:
    """IPv4 and IPv6 alike, at one port."""
    server = ProbeServer(":0")
    async with lifecycle.running(Registry("shop"), companions=[server]):
        assert {server.port} == {port for _, port in server.addresses}
        assert await reached("127.0.0.1", server.port)
        if socket.has_ipv6 and "::" in {host for host, _ in server.addresses}:
            assert await reached("::1", server.port)


@pytest.mark.parametrize("address", ["localhost:0", "[::1]:0", "127.0.0.1:0", "0"])
async def test_an_address_has_a_host_and_a_port(address: str) -> None:
    """A name, or a number of either kind."""
    server = ProbeServer(address)
    async with lifecycle.running(Registry("shop"), companions=[server]):
        assert await reached(server.addresses[0][0], server.port)


@pytest.mark.parametrize("address", ["", "shop", "shop:http", ":99999", "::1:80"])
def test_an_address_has_to_be_one(address: str) -> None:
    """That is said where it is given, before anything runs."""
    with pytest.raises(SettingsError, match="an address"):
        ProbeServer(address)


def test_bounds_have_to_be_some() -> None:
    """Likewise."""
    bounds: Any = 5
    with pytest.raises(SettingsError, match=r"bounds is 5, but must be lifecycle\.probes\.Bounds"):
        ProbeServer(bounds=bounds)


@pytest.mark.rule("D9")
async def test_a_port_that_is_taken_fails_the_start() -> None:
    """Nothing else runs, the code is 69, and the error says which address, and what to do."""
    spy, shop = Spy(), Registry("shop")
    shop.preflight(lambda: pytest.fail("this runs"))
    with taken() as port, pytest.raises(StartError) as caught:
        async with lifecycle.running(shop, companions=[ProbeServer(f"127.0.0.1:{port}"), spy]):
            pass

    assert re.fullmatch(
        rf"'probes' did not start: OSError: \[Errno \d+\] no probes at '127\.0\.0\.1:{port}': "
        rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use\. Free it, or choose "
        r"another address: by LIFECYCLE_PROBES, Settings\.probes, or the ProbeServer's own",
        str(caught.value),
    )
    assert 69 == spy.report.exit_code


async def test_a_host_that_is_nowhere_fails_the_start() -> None:
    """The error says which it is."""
    with pytest.raises(StartError, match=r"no probes at 'nowhere\.invalid:0'"):
        async with lifecycle.running(
            Registry("shop"), companions=[ProbeServer("nowhere.invalid:0")]
        ):
            pass


async def test_the_settings_switch_it_on() -> None:
    """By an address; `LIFECYCLE_PROBES` is enough."""
    with held_port() as port:
        settings = Settings.from_env(environ={"LIFECYCLE_PROBES": f"127.0.0.1:{port}"})
        async with lifecycle.running(Registry("shop"), settings):
            assert await reached("127.0.0.1", port)


async def test_the_settings_say_where_one_without_an_address_listens() -> None:
    """As what they switch on does."""
    server = ProbeServer()
    settings = Settings(probes="127.0.0.1:0")
    async with lifecycle.running(Registry("shop"), settings, companions=[server]):
        assert await reached(*server.addresses[0])
    assert "probes" == server.name == companions(settings)[0].name


@pytest.mark.parametrize("has_address", [True, False])
async def test_there_is_one_server_at_the_address_of_the_settings(has_address: bool) -> None:  # noqa: FBT001
    """One that is given for it is the one that they switch on: the port is bound once."""
    with held_port() as port:
        address = f"127.0.0.1:{port}"
        server = ProbeServer(address if has_address else None, unavailable_code=599)
        async with lifecycle.running(
            Registry("shop"), Settings(probes=address), companions=[server]
        ) as system:
            assert [("127.0.0.1", port)] == list(server.addresses)
            system.shut_down()
            assert 599 == (await get(server, "/ready")).code


async def test_a_server_elsewhere_is_another_one() -> None:
    """Two addresses, two servers."""
    with held_port() as port:
        settings = Settings(probes=f"127.0.0.1:{port}")
        async with lifecycle.running(
            Registry("shop"), settings, companions=[ProbeServer("127.0.0.1:0")]
        ):
            assert await reached("127.0.0.1", port)


async def test_two_systems_have_two_servers() -> None:
    """Each answers for its own."""
    async with serving(Registry("shop")) as (_, shop), serving(Registry("bank")) as (_, bank):
        assert ["shop", "bank"] == [
            (await get(server, "/status")).json["name"] for server in (shop, bank)
        ]
