"""The servers over TLS: their certificates are options of each."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.edges.grpc.tls import CERTIFICATE, KEY
from tests.edges.servers.kit import ON_EACH, hello, run, shop_of

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle import System

NAMES = {
    "uvicorn": ("ssl_certfile", "ssl_keyfile"),
    "granian": ("ssl_cert", "ssl_key"),
    "hypercorn": ("certfile", "keyfile"),
}


@pytest.mark.parametrize(("name", "backend"), ON_EACH)
def test_requests_over_tls(name: str, backend: str, tmp_path: Path) -> None:
    """They are answered; the url says https; an idle connection is closed in the drain."""
    files: list[Any] = [tmp_path / "certificate", tmp_path / "key"]
    for file, content in zip(files, (CERTIFICATE, KEY), strict=True):
        file.write_bytes(content)
    if name != "granian":
        files = [str(file) for file in files]
    shop, web = shop_of(name, hello, **dict(zip(NAMES[name], files, strict=True)))
    heard: list[bytes] = []

    async def body(system: System) -> None:
        trusting = ssl.create_default_context(cafile=str(files[0]))
        async with await anyio.connect_tcp(
            "127.0.0.1", web.port, ssl_context=trusting, tls_standard_compatible=False
        ) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
            while not heard or not heard[-1].endswith(b"hello"):
                heard.append(await stream.receive())
            system.shut_down("deploy")
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.receive()  # it is told that the connection ends

    report = run(backend, shop, body)

    assert web.url == f"https://127.0.0.1:{web.port}"
    assert heard[0].startswith(b"HTTP/1.1 200")
    assert report.exit_code == 0
