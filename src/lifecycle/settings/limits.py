"""Timeouts of single components, as the settings give them, and the names that they go by."""

from __future__ import annotations

import re

import attrs
from typing_extensions import Self, override

from lifecycle._record import Record
from lifecycle.settings.durations import Seconds, as_optional_float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Limits(Record):
    """Timeouts of one component, in seconds; None leaves what its declaration says.

    Raises:
        SettingsError: A number is not finite, or not above 0 (`drain` may be 0).
    """

    start: float | None = attrs.field(
        default=None, converter=as_optional_float, validator=Seconds(none=True)
    )
    """For its start, all retries included."""
    drain: float | None = attrs.field(
        default=None, converter=as_optional_float, validator=Seconds(zero=True, none=True)
    )
    """For its drain; 0 cuts off at once what is in flight."""
    stop: float | None = attrs.field(
        default=None, converter=as_optional_float, validator=Seconds(none=True)
    )
    """For its stop."""

    def over(self, other: Limits) -> Limits:
        """Give these limits, with those of `other` where these have none."""
        return Limits(
            start=other.start if self.start is None else self.start,
            drain=other.drain if self.drain is None else self.drain,
            stop=other.stop if self.stop is None else self.stop,
        )


NO_LIMITS = Limits()


def env_form(name: str) -> str:
    """Write a component's name as environment variables have it.

    Upper case, and each run of characters other than ASCII letters and digits as one ``_``, none
    at the ends: ``billing.read-replica`` is ``BILLING_READ_REPLICA``. Names that come out the same
    share their variables.
    """
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


class EnvName(str):
    """A component's name in the form of an environment variable: a key of ``Settings.limits``.

    It stands for every component whose name takes this form (see :func:`env_form`). It equals only
    its like, never a plain string: a component may well be called ``DATABASE``.
    """

    __slots__ = ("variable",)

    variable: str
    """The environment variable that it was read from, for messages."""

    def __new__(cls, name: str, variable: str = "") -> Self:
        """Keep `name` in its form for environment variables."""
        self = super().__new__(cls, env_form(name))
        self.variable = variable or str(self)
        return self

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, EnvName) and str.__eq__(self, other)

    @override
    def __ne__(self, other: object) -> bool:
        return not self == other

    @override
    def __hash__(self) -> int:
        return str.__hash__(self)

    @override
    def __repr__(self) -> str:
        return f"EnvName({str(self)!r})"
