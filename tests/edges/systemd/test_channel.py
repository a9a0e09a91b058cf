"""Sending without ever waiting."""

from __future__ import annotations

import contextlib
import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle.integrations.systemd._channel import Channel
from lifecycle.integrations.systemd._message import Message, address_of
from tests.e2e.kit import GENEROUS
from tests.edges.systemd.kit import Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

ROOM = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text(encoding="ascii")) + 1
"""How many datagrams a receiver holds unread: 11, where systemd has not raised it."""


@contextlib.asynccontextmanager
async def channel_to(address: str) -> AsyncGenerator[Channel]:
    """A channel that runs; what has no room at the end is dropped."""
    with contextlib.closing(Channel(address_of(address))) as channel:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.run)
            yield channel
            tasks.cancel_scope.cancel()


def fill(channel: Channel) -> list[str]:
    """Send until the receiver has no room; give what it will read."""
    for number in range(ROOM):
        channel.send(Message(status=str(number)))
    return [f"STATUS={number}" for number in range(ROOM)]


async def test_a_message_arrives(receiver: Receiver) -> None:
    """In one datagram."""
    async with channel_to(receiver.address) as channel:
        channel.send(Message(ready=True, status="runs"))

        assert ["READY=1, STATUS=runs"] == receiver.read()


async def test_an_abstract_socket() -> None:
    """`@name` is a socket that has no place in the file system."""
    receiver = Receiver(f"@lifecycle-{uuid.uuid4()}")
    with contextlib.closing(receiver):
        async with channel_to(receiver.address) as channel:
            channel.send(Message(ready=True))

            assert ["READY=1"] == receiver.read()


async def test_a_receiver_that_does_not_read(receiver: Receiver) -> None:
    """Nothing blocks: what has no room waits, every milestone, and the newest of the rest."""
    async with channel_to(receiver.address) as channel:
        read_at_first = fill(channel)
        channel.send(Message(status="starts"))
        channel.send(Message(status="starts still", watchdog=True))
        channel.send(Message(ready=True, status="runs"))
        channel.send(Message(status="degraded"))
        channel.send(Message(stopping=True, extend_timeout=9))
        channel.send(Message(status="drains", extend_timeout=8))

        with anyio.fail_after(GENEROUS):
            said = [await receiver.next() for _ in range(ROOM + 3)]
            await channel.flushed()

    assert [
        *read_at_first,
        "STATUS=starts still, WATCHDOG=1",
        "READY=1, STATUS=degraded",
        "STOPPING=1, STATUS=drains, EXTEND_TIMEOUT_USEC=8000000",
    ] == said
    assert [] == receiver.read()


async def test_flushed_waits_for_room(receiver: Receiver) -> None:
    """It returns when the last message has been sent, and not before."""
    async with channel_to(receiver.address) as channel:
        fill(channel)
        await channel.flushed()
        channel.send(Message(stopping=True))
        with anyio.move_on_after(0) as impatient:
            await channel.flushed()
        assert impatient.cancelled_caught

        receiver.read_one()
        with anyio.fail_after(GENEROUS):
            await channel.flushed()

        assert "STOPPING=1" == receiver.read()[-1]


async def test_a_receiver_that_goes_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, harms nobody, and who takes its place is told what is new from then on."""
    address = str(tmp_path / "notify")
    async with channel_to(address) as channel:
        channel.send(Message(status="nobody is there yet"))
        with contextlib.closing(Receiver(address)) as first:
            channel.send(Message(status="one"))
            assert ["STATUS=one"] == first.read()
        channel.send(Message(status="nobody"))
        channel.send(Message(status="nobody"))
        (tmp_path / "notify").unlink()
        with contextlib.closing(Receiver(address)) as second:
            channel.send(Message(status="two"))
            assert ["STATUS=two"] == second.read()
        await channel.flushed()

    assert [
        f"systemd cannot be told anything: nobody takes it at {address} (No such file or directory)"
    ] == caplog.messages


async def test_a_receiver_that_goes_away_unread(tmp_path: Path) -> None:
    """What waits for room is given up with it."""
    async with channel_to(str(tmp_path / "notify")) as channel:
        with contextlib.closing(Receiver(str(tmp_path / "notify"))):
            fill(channel)
            channel.send(Message(stopping=True))
        with anyio.fail_after(GENEROUS):
            await channel.flushed()


async def test_what_was_said_can_be_seen(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has it, for those who look for it."""
    with caplog.at_level(logging.DEBUG, "lifecycle.systemd"):
        async with channel_to(receiver.address) as channel:
            channel.send(Message(ready=True, status="runs"))

    assert ["told systemd: READY=1, STATUS=runs"] == caplog.messages
