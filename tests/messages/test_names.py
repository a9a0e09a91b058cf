"""What is called by its name, where a user has given none."""

from __future__ import annotations

import functools
from typing import Any
from unittest import mock

import pytest

from lifecycle.naming import given_name_of, name_of


def ping() -> None:
    """Be a function."""


class Named:
    """Something with a name of its own."""

    def __init__(self, name: object) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (ping, "ping"),
        (Named, "Named"),
        (functools.partial(functools.partial(ping)), "ping"),
        (mock.Mock(), "Mock"),  # it has whatever is asked for, as deep as one likes
        (mock.MagicMock(), "MagicMock"),
        (functools.partial(mock.Mock()), "Mock"),
    ],
)
def test_the_name_of_a_function(thing: Any, name: str) -> None:
    """Its own; that of what a partial wraps; that of the class of anything else."""
    assert name == name_of(thing)


@pytest.mark.parametrize(
    ("given", "name"), [("disk", "disk"), ("", "Named"), (3, "Named"), (None, "Named")]
)
def test_a_name_that_was_given(given: object, name: str) -> None:
    """It counts where it is one."""
    assert name == given_name_of(Named(given))
