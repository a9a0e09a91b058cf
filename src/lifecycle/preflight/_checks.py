"""What the checks share: how they are named, and how their arguments are looked at."""

from __future__ import annotations

import os

from lifecycle.errors import DefinitionError
from lifecycle.settings.durations import Seconds

_NAME_LENGTH = 80


def short(text: str) -> str:
    """Cut a name to what fits a line of a report."""
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"


def demand_timeout(check: str, timeout: object) -> None:
    """Refuse what is no finite number of seconds above 0.

    Raises:
        DefinitionError: `timeout` is none.
    """
    rule = Seconds()
    if not rule.allows(timeout):
        problem = f"preflight.{check}: timeout is {timeout!r}, but must be {rule.expected}"
        raise DefinitionError(problem)


def is_text(value: object) -> bool:
    """Whether `value` is a text."""
    return isinstance(value, str)


def is_path(value: object) -> bool:
    """Whether `value` is a path, or a text that is not empty."""
    return isinstance(value, os.PathLike) or (isinstance(value, str) and value != "")


def is_count(value: object) -> bool:
    """Whether `value` is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)
