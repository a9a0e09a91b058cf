"""Sockets that are bound before anything else is done."""

from __future__ import annotations

import asyncio
import socket

import anyio
import pytest

from lifecycle.sockets import bind, listen


async def delays() -> list[bool]:
    """Serve a client on each socket with asyncio; whether its answers may be held back."""
    found: list[bool] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        found.append(not accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    for one in await bind("localhost", 0):
        listen([one], 1)
        async with await asyncio.start_server(answer, sock=one):
            host, port = one.getsockname()[:2]
            reader, writer = await asyncio.open_connection(host, port)
            assert b"" == await reader.read()
            writer.close()
    return found


def test_an_answer_in_two_pieces_is_not_held_back() -> None:
    """Else each would take the 40 ms by which Linux delays an acknowledgement."""
    found = asyncio.run(delays())

    assert found
    assert not any(found)


def test_a_name_that_nobody_knows_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """With where it was to be; its number is that of no other error."""

    async def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(anyio, "getaddrinfo", nobody)
    where = "cannot listen on shop.invalid:80: Name or service not known"

    with pytest.raises(socket.gaierror, match=where) as caught:
        asyncio.run(bind("shop.invalid", 80))

    assert caught.value.errno == socket.EAI_NONAME
