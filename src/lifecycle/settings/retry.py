"""How often, and after which pauses, a start is tried again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import attrs

from lifecycle._record import Record
from lifecycle.errors import SettingsError
from lifecycle.settings.durations import Seconds, as_float, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return Seconds(zero=True).allows(value)


def _as_types(value: type[Exception] | tuple[type[Exception], ...]) -> tuple[type[Exception], ...]:
    return (value,) if isinstance(value, type) else value


def _are_exceptions(value: object) -> bool:
    items: Any = value
    return (
        isinstance(value, tuple)
        and value != ()
        and all(isinstance(item, type) and issubclass(item, Exception) for item in items)
    )


@attrs.frozen(eq=False, repr=False)
class Retry(Record):
    """A start that fails is tried again, after pauses that grow: 0.1, 0.2, 0.4 s with the defaults.

    All attempts and pauses share the component's one `start_timeout`.

    Raises:
        SettingsError: A field has a value that cannot be used.
    """

    times: int = attrs.field(default=3, validator=rule(_is_count, "a whole number, 0 or more"))
    """How many more attempts there are after the first; 0 for none."""
    delay: float = attrs.field(
        default=0.1, kw_only=True, converter=as_float, validator=Seconds(zero=True)
    )
    """The first pause, in seconds."""
    factor: float = attrs.field(
        default=2.0,
        kw_only=True,
        converter=as_float,
        validator=rule(lambda value: _is_number(value) and value >= 1, "a number, 1 or more"),
    )
    """By how much each pause is longer than the one before."""
    max_delay: float = attrs.field(
        default=30.0, kw_only=True, converter=as_float, validator=Seconds(zero=True)
    )
    """The longest pause, in seconds."""
    jitter: float = attrs.field(
        default=0.0,
        kw_only=True,
        converter=as_float,
        validator=rule(lambda value: _is_number(value) and value <= 1, "a number from 0 to 1"),
    )
    """The part of each pause that is left to chance: with 0.5, a pause of 1 s takes 0.5 to 1 s.

    It keeps many replicas that lost the same database from coming back in step. 0 by default, so
    that a start takes the same time each time.
    """
    on: tuple[type[Exception], ...] = attrs.field(
        default=(Exception,),
        kw_only=True,
        converter=_as_types,
        validator=rule(_are_exceptions, "an exception class or a tuple of them"),
    )
    """What is worth another attempt, also as the one exception of a group; anything else fails the
    start at once."""

    @classmethod
    def of(cls, retry: int | Retry | None) -> Retry | None:
        """Make one from what the keyword ``retry`` takes: a number of further attempts, or itself.

        Raises:
            SettingsError: It is none of these.
        """
        if retry is None or isinstance(retry, Retry):
            return retry
        if not _is_count(retry):
            raise SettingsError("retry", retry, "a whole number, 0 or more, a Retry, or None")
        return cls(retry)

    def delays(self, *, chance: Callable[[], float] = random.random) -> Iterator[float]:
        """Give the pauses, in seconds, one before each further attempt.

        Args:
            chance: Gives a number from 0 to 1 for the jitter of each pause.
        """
        pause = min(self.delay, self.max_delay)
        for _ in range(self.times):
            yield pause * (1 - self.jitter * chance())
            pause = min(pause * self.factor, self.max_delay)
