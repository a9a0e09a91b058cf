"""Anything at all, sent to the probe server: it answers or closes, and goes on.

`nox -s fuzz` tries more of it, and the server's OpenAPI description besides.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.edges.probes.kit import EXAMPLES, GENEROUS, PATHS, codes_in

MEANT = {200, 400, 404, 405, 413, 431}
"""What a system that runs and is ready answers."""

if TYPE_CHECKING:
    import pytest

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def exchange(port: int, pieces: list[bytes]) -> bytes:
    """Send pieces, then nothing more; all that comes back until the server closes.

    A server that does neither answer nor close is a timeout here.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=GENEROUS) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        with contextlib.suppress(OSError):  # it has closed by then
            for piece in pieces:
                raw.sendall(piece)
            raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while data := raw.recv(65536):
                received += data
        return received


def request(
    method: bytes, target: bytes, version: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> bytes:
    """Write something that looks like a request."""
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return method + b" " + target + b" HTTP/" + version + b"\r\n" + lines + b"\r\n" + body


paths = st.sampled_from([path.encode() for path in PATHS])
words = st.binary(max_size=20)
requests = st.builds(
    request,
    st.sampled_from([b"GET", b"HEAD", b"POST", b"CONNECT", b"OPTIONS", b"get", b""]) | words,
    paths
    | st.builds(lambda path, more: path + b"?component=" + more, paths, words)
    | st.sampled_from([b"*", b"http://shop/ready", b"http://[", b"//", b"/" + b"x" * 5000])
    | words,
    st.sampled_from([b"1.1", b"1.0", b"2.0", b"0.9"]) | words,
    st.lists(
        st.sampled_from(
            [
                (b"Host", b"shop"),
                (b"Connection", b"close"),
                (b"Connection", b"Upgrade"),
                (b"Upgrade", b"websocket"),
                (b"Expect", b"100-continue"),
                (b"Content-Length", b"5"),
                (b"Content-Length", b"1000"),
                (b"Content-Length", b"-1"),
                (b"Content-Length", b"9" * 30),
                (b"Transfer-Encoding", b"chunked"),
                (b"Transfer-Encoding", b"gzip"),
                (b"X", b"y" * 3000),
            ]
        )
        | st.tuples(words, words),
        max_size=5,
    ),
    st.sampled_from([b"", b"12345", b"5\r\n12345\r\n0\r\n\r\n", b"x" * 1000]) | words,
)
traffic = st.lists(requests | st.binary(max_size=50), max_size=4).map(b"".join)


@st.composite
def in_pieces(draw: st.DrawFn) -> list[bytes]:
    """Traffic, cut at any places."""
    data = draw(traffic)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@fuzzed
@given(pieces=in_pieces())
@example(
    pieces=[b"HEAD /ready HTTP/1.1\r\nHost: shop\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000]
)
@example(pieces=[b"HEAD / HTTP/2.0\r\n\r\n"])  # a refusal with a body, which HEAD has not
@example(pieces=[b"CONNECT shop:1 HTTP/1.1\r\nHost: shop\r\n\r\n" + b"x" * 5000])
@example(pieces=[b"\r\n" * 5000])
def test_bytes(port: int, caplog: pytest.LogCaptureFixture, pieces: list[bytes]) -> None:
    """Never a crash, never a code that is not meant, never a hang; the next one is answered."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "lifecycle"):
        answers = exchange(port, pieces)
        after = exchange(port, [b"GET /ready HTTP/1.1\r\nHost: shop\r\n\r\n"])

    assert set(codes_in(answers)) <= MEANT
    assert not answers or answers.startswith(b"HTTP/1.1 ")
    assert [200] == codes_in(after)
    assert [] == caplog.messages


drains = st.builds(
    request,
    st.sampled_from([b"POST"]) | st.sampled_from([b"GET", b"HEAD", b"PUT", b"post"]) | words,
    st.sampled_from([b"/drain", b"/drain/", b"/%64rain", b"/drain?now", b"http://shop/drain"]),
    st.sampled_from([b"1.1", b"1.0"]),
    st.lists(st.tuples(words, words), max_size=2).flatmap(
        lambda more: st.sampled_from(
            [
                [(b"Host", b"shop"), (name, b"x"), *more]
                for name in (b"Origin", b"VIA", b"x-forwarded-for", b"Forwarded")
            ]
        )
    ),
    st.sampled_from([b"", b"12345", b"x" * 1000]) | words,
)


@fuzzed
@given(pieces=st.lists(drains, max_size=3))
@example(pieces=[b"POST /drain HTTP/1.1\r\nHost: shop\r\nOrigin: http://elsewhere\r\n\r\n"])
def test_nobody_else_drains_it(port: int, pieces: list[bytes]) -> None:
    """Whatever comes through a proxy or a browser is refused, and the system runs on."""
    answers = exchange(port, pieces)
    after = exchange(port, [b"GET /ready HTTP/1.1\r\nHost: shop\r\n\r\n"])

    assert set(codes_in(answers)) <= (MEANT | {403}) - {200}
    assert [200] == codes_in(after)


QUERY = "".join(map(chr, range(0x21, 0x7F)))


@fuzzed
@given(
    path=st.sampled_from(PATHS),
    query=st.text(QUERY, max_size=60)
    | st.lists(
        st.sampled_from(["component=", "component", "%", "=", "&", ";", "database", "%00", "%ff"])
        | st.sampled_from(["k%C3%A4se%20%26%20brot", "k%C3%A4se+%26+brot", "%zz", "+", "#", "?"]),
        max_size=8,
    ).map("".join),
)
@example(path="/ready", query="component=database&component=")
@example(path="/ready", query="component=k%C3%A4se%20%26%20brot")
def test_queries(port: int, path: str, query: str) -> None:
    """Whoever asks for a name that no component has gets a 404, everybody else a 200."""
    head, _, body = exchange(
        port, [f"GET {path}?{query} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()]
    ).partition(b"\r\n\r\n")
    names = parse_qs(query, keep_blank_values=True).get("component", [])
    known = {"database", "käse & brot"}

    assert [404 if set(names) - known else 200] == codes_in(head)
    assert (known & set(names) if names else known) == set(json.loads(body)["components"])
