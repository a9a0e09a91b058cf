from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.processes.output import MAX_LINE, Lines, Pipe

if TYPE_CHECKING:
    import pytest


def cut(*chunks: bytes) -> list[str]:
    """Cut what was read into lines."""
    lines = Lines()
    told = [line for chunk in chunks for line in lines.feed(chunk)]
    return [*told, *lines.end()]


def test_lines_come_when_they_are_ended() -> None:
    """A line is told as soon as its end is there, not before, and not later."""
    lines = Lines()

    assert list(lines.feed(b"one\ntw")) == ["one"]
    assert list(lines.feed(b"o")) == []
    assert list(lines.feed(b"\n\nthree")) == ["two", ""]
    assert list(lines.end()) == ["three"]
    assert list(lines.end()) == []


def test_line_ends_of_windows_are_line_ends() -> None:
    """CR LF ends a line, and the CR is none of it; other CRs are."""
    assert cut(b"one\r\ntwo\r", b"\na\rb\n") == ["one", "two", "a\rb"]


def test_bytes_that_are_no_text_are_replaced() -> None:
    """Output is shown whatever it is; a character may be cut in two by a read."""
    assert cut(b"\xff\xfe ok\n", "gr\u00f6\u00df".encode()[:3], b"\xb6e\n") == [
        "\ufffd\ufffd ok",
        "gr\u00f6e",
    ]


def test_long_lines_are_cut() -> None:
    """A line without end costs no memory, and says how much of it is missing."""
    lines = Lines()

    for _ in range(100):
        assert list(lines.feed(b"x" * MAX_LINE)) == []
    assert list(lines.feed(b"\nshort\n")) == [
        "x" * MAX_LINE + f" … ({99 * MAX_LINE} bytes more)",
        "short",
    ]


def test_a_line_of_the_greatest_length_is_whole() -> None:
    """The limit itself is within it."""
    assert cut(b"x" * MAX_LINE + b"\n") == ["x" * MAX_LINE]


@given(st.lists(st.binary(max_size=20)))
def test_how_it_is_chunked_does_not_matter(chunks: list[bytes]) -> None:
    """The lines are those of the whole, however the reads fell."""
    assert cut(*chunks) == cut(b"".join(chunks))


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))))
def test_what_was_written_is_what_is_told(texts: list[str]) -> None:
    """Nothing is lost and nothing is added."""
    assert cut("".join(f"{text}\n" for text in texts).encode()) == texts


def test_what_is_left_is_not_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger who keeps our pipe open, and full, is not listened to for ever."""
    reader, writer = os.pipe()
    told: list[str] = []
    pipe = Pipe(io.FileIO(reader), told.append)
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", lambda _, size: b"x" * (size - 1) + b"\n")
        pipe.close()
    os.close(writer)

    assert len(told) == 16  # 1 MiB, in reads of 64 KiB
