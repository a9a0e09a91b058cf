from __future__ import annotations

import math
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import SettingsError
from lifecycle.settings import Retry


def test_defaults() -> None:
    """Three more attempts, after pauses that double."""
    assert list(Retry().delays()) == pytest.approx([0.1, 0.2, 0.4])
    assert Retry().on == (Exception,)


def test_pauses_grow_up_to_a_limit() -> None:
    """However many attempts there are, nobody waits longer than `max_delay`."""
    assert list(Retry(5, delay=1, factor=3, max_delay=10).delays()) == [1, 3, 9, 10, 10]
    assert list(Retry(2, delay=5, max_delay=1).delays()) == [1, 1]


def test_pauses_do_not_overflow() -> None:
    """After thousands of attempts the pause still is `max_delay`."""
    assert list(Retry(5000, delay=1, factor=1e9).delays())[-1] == 30


def test_pauses_are_made_as_they_are_needed() -> None:
    """A retry without end costs no memory."""
    assert len(list(islice(Retry(10**12).delays(), 5))) == 5


def test_jitter_shortens() -> None:
    """Chance takes from a pause at most the part that is left to it, and never adds."""
    retry = Retry(1, delay=8, jitter=0.25)

    assert list(retry.delays(chance=lambda: 0.0)) == [8]
    assert list(retry.delays(chance=lambda: 1.0)) == [6]


@given(
    times=st.integers(0, 50),
    delay=st.floats(0, 100),
    factor=st.floats(1, 100),
    max_delay=st.floats(0, 100),
    jitter=st.floats(0, 1),
)
def test_pauses_keep_within_limits(
    times: int, delay: float, factor: float, max_delay: float, jitter: float
) -> None:
    """There are as many pauses as attempts, none negative, none above the limit."""
    retry = Retry(times, delay=delay, factor=factor, max_delay=max_delay, jitter=jitter)
    delays = list(retry.delays())

    assert len(delays) == times
    assert all(0 <= pause <= max_delay for pause in delays)


def test_it_can_be_made_of_a_number() -> None:
    """`retry=5` is five more attempts; a Retry, and None, are themselves."""
    retry = Retry(2)

    assert Retry.of(5) == Retry(5)
    assert Retry.of(retry) is retry
    assert Retry.of(None) is None


@pytest.mark.parametrize("value", [True, -1, 1.5, "3"])
def test_it_cannot_be_made_of_anything_else(value: Any) -> None:
    """What is no number of attempts is an error that says what is."""
    with pytest.raises(SettingsError, match=r"retry is .* a whole number, 0 or more, a Retry"):
        Retry.of(value)


@pytest.mark.parametrize(
    "fields",
    [
        {"times": -1},
        {"times": True},
        {"times": 1.0},
        {"delay": -1},
        {"delay": math.inf},
        {"factor": 0.5},
        {"factor": math.nan},
        {"max_delay": -1},
        {"max_delay": "1"},
        {"jitter": 1.1},
        {"jitter": -0.1},
        {"jitter": True},
        {"on": ()},
        {"on": [ValueError]},
        {"on": (KeyboardInterrupt,)},
        {"on": (ValueError(),)},
    ],
    ids=str,
)
def test_a_bad_field_is_an_error_that_names_it(fields: dict[str, Any]) -> None:
    """Every number has its range, and only exceptions can be tried again."""
    with pytest.raises(SettingsError) as caught:
        Retry(**fields)

    assert caught.value.name in fields


def test_on_takes_one_class_too() -> None:
    """As `except` does."""
    assert Retry(on=OSError).on == (OSError,)
