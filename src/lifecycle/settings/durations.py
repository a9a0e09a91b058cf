"""What counts as a duration: the one rule behind every number of seconds in the settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from lifecycle._record import Record
from lifecycle.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable


def as_float(value: float) -> float:
    """Turn an integer into a float; leave the rest to the rule, which knows the field."""
    if type(value) is not int:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_optional_float(value: float | None) -> float | None:
    """Do the same where None is a value."""
    return None if value is None else as_float(value)


@attrs.frozen(eq=False, repr=False)
class Seconds(Record):
    """A finite number of seconds; a validator for attrs, and a reader of text."""

    zero: bool = False
    """Whether 0 is one."""
    none: bool = False
    """Whether None, in text ``none``, is one."""

    @property
    def expected(self) -> str:
        """The rule in words."""
        sign = "0 or more" if self.zero else "more than 0"
        return f"a number of seconds, {sign}" + (", or None" if self.none else "")

    def allows(self, value: object) -> bool:
        """Whether `value` keeps the rule. A bool does not: ``start_timeout=True`` is a slip."""
        if value is None:
            return self.none
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        # `abs` of an int too large for a float still compares, so that isfinite never overflows.
        return abs(value) < math.inf and (value > 0 or (self.zero and value == 0))

    def __call__(self, _: object, attribute: attrs.Attribute[Any], value: object) -> None:
        """Validate a field."""
        if not self.allows(value):
            raise SettingsError(attribute.name, value, self.expected)

    def read(self, text: str) -> float | None:
        """Read a value as an environment variable has it.

        Raises:
            ValueError: It is no such number; the message says what would be.
        """
        if self.none and text.lower() == "none":
            return None
        # `float` also takes the underscores of Python's literals, which nobody means in a variable.
        value = _float(text) if "_" not in text else None
        if value is None or not self.allows(value):
            message = (
                f"{self.expected.replace('None', '`none`')}, written without a unit, as in 2.5"
            )
            raise ValueError(message)
        return value


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def rule(check: Callable[[Any], bool], expected: str) -> Callable[[Any, Any, Any], None]:
    """Make a validator for attrs from a predicate and its description."""

    def validate(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not check(value):
            raise SettingsError(attribute.name, value, expected)

    return validate
