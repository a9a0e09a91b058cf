"""How what is said is written."""

from __future__ import annotations

import pytest

from lifecycle.integrations.systemd._message import Message, address_of


@pytest.mark.parametrize(
    ("message", "datagram"),
    [
        pytest.param(Message(ready=True), b"READY=1", id="ready"),
        pytest.param(Message(stopping=True), b"STOPPING=1", id="stopping"),
        pytest.param(Message(watchdog=True), b"WATCHDOG=1", id="watchdog"),
        pytest.param(Message(status="runs"), b"STATUS=runs", id="status"),
        pytest.param(Message(status=""), b"STATUS=", id="an empty status"),
        pytest.param(
            Message(extend_timeout=2.5), b"EXTEND_TIMEOUT_USEC=2500000", id="microseconds"
        ),
        pytest.param(
            Message(stopping=True, status="drains", extend_timeout=1, watchdog=True),
            b"STOPPING=1\nSTATUS=drains\nEXTEND_TIMEOUT_USEC=1000000\nWATCHDOG=1",
            id="several",
        ),
        pytest.param(Message(status="größer"), "STATUS=größer".encode(), id="UTF-8"),
        pytest.param(
            Message(status="a\nREADY=1\r\n b"), b"STATUS=a READY=1 b", id="lines become one"
        ),
        pytest.param(Message(status="\udce4"), b"STATUS=?", id="what is no text"),
        pytest.param(
            Message(status="x" * 600), b"STATUS=" + b"x" * 511 + "…".encode(), id="a long one"
        ),
    ],
)
def test_a_datagram(message: Message, datagram: bytes) -> None:
    """One assignment a line; whatever the text is, it cannot be taken for another assignment."""
    assert datagram == message.encode()


def test_two_in_one() -> None:
    """What is newer counts; what was said by the older one alone stays said."""
    older = Message(ready=True, status="old", extend_timeout=5)
    newer = Message(watchdog=True, status="new")

    both = older.then(newer)

    assert Message(ready=True, watchdog=True, status="new", extend_timeout=5) == both


def test_nothing_to_say() -> None:
    """An empty message is none; an empty status is one."""
    assert [False, True] == [bool(Message()), bool(Message(status=""))]


@pytest.mark.parametrize(
    ("text", "address"),
    [("/run/systemd/notify", "/run/systemd/notify"), ("@/org/x", "\0/org/x")],
)
def test_an_address(text: str, address: str) -> None:
    """A path is one, and `@` stands for the zero byte of an abstract socket."""
    assert address == address_of(text)


@pytest.mark.parametrize("text", ["vsock:2:1234", "run/notify", "@"])
def test_no_address(text: str) -> None:
    """What is neither is refused, and named."""
    with pytest.raises(ValueError, match="neither an absolute path nor") as raised:
        address_of(text)
    assert text in str(raised.value)
