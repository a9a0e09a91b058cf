"""How durations and names are written, and that nothing gets into the page unescaped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.probes.page.markup import Markup, element, escaped, join
from lifecycle.probes.page.words import age, shortened, some, took
from tests.edges.page.kit import Read


def test_an_age() -> None:
    """It is rounded down, so that it can be counted on, and coarser the longer it is."""
    durations = (-1, 0, 0.99, 1, 59.9, 60, 3599, 3600, 3660, 86399, 86400, 900000)

    expected = (
        "0 s, 0 s, 0 s, 1 s, 59 s, 1 min, 59 min, 1 h 0 min, 1 h 1 min, 23 h 59 min, 1 d, 10 d"
    )
    assert expected == ", ".join(map(age, durations))


def test_how_long_something_took() -> None:
    """Hundredths below a second, tenths below ten."""
    durations = (0.0, 0.0004, 0.0123, 0.278, 1.0, 4.14, 9.99, 35.2, 130)

    expected = "0 s, 0 s, 0.01 s, 0.28 s, 1 s, 4.1 s, 10 s, 35 s, 2 min"
    assert expected == ", ".join(map(took, durations))


def test_some_names() -> None:
    """A few, and how many more there are."""
    assert "a, b, c" == some(["a", "b", "c"])
    assert "a and 3 more" == some(["a", "b", "c", "d"], 1)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("database", "database"),
        ("billing.invoices-consumer", "billing…onsumer"),
        ("データベースの接続プール", "データベ…プール"),
    ],
)
def test_a_name_that_is_too_long(text: str, short: str) -> None:
    """Its middle is left out: both ends tell names apart. Wide letters count double."""
    assert short == shortened(text, 15)


@given(st.text(), st.integers(2, 30))
def test_a_shortened_text_is_never_longer_than_asked(text: str, width: int) -> None:
    """Whatever it is made of."""
    assert len(shortened(text, width)) <= width


@given(st.text(), st.text())
def test_what_is_written_is_read_again(text: str, value: str) -> None:
    """Whatever text and attributes hold, the element stays one element with these in it.

    What no browser shows, and what cannot be encoded, is replaced.
    """
    written = element("td", text, " ", element("b", text), data_label=value)

    found = Read(written.encode())

    assert ["td", "b"] == [one.tag for one in found.elements]
    readable = "".join("�" if is_unseen(letter) else letter for letter in text)
    assert f"{readable} {readable}" == found.one("td").text
    readable = "".join("�" if is_unseen(letter) else letter for letter in value)
    assert {"data-label": readable} == found.one("td").attributes


def is_unseen(letter: str) -> bool:
    """Whether a letter is replaced: control characters, and halves of surrogate pairs."""
    number = ord(letter)
    return (
        (number < 0x20 and letter not in "\t\n\r") or 0x7F <= number < 0xA0
    ) or 0xD800 <= number < 0xE000


def test_what_is_markup_stays_as_it_is() -> None:
    """It is escaped once, and not again where it becomes part of something else."""
    bold = element("b", "a < b")

    assert "<p>&lt;i&gt;<b>a &lt; b</b></p>" == element("p", "<i>", bold)
    assert isinstance(join((bold, "x")), Markup)
    assert escaped(bold) is bold


def test_attributes() -> None:
    """True is one without a value; what is None or False is not there; `_` stands for `-`."""
    written = element("p", class_="quiet", hidden=True, title=None, inert=False, data_age=1.5)

    assert '<p class="quiet" hidden data-age="1.5"></p>' == written
