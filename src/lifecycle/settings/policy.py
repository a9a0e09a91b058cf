"""What each signal asks of a program: the signal policy."""

from __future__ import annotations

import enum
import signal
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from lifecycle.errors import SettingsError

if TYPE_CHECKING:
    import attrs


class Response(str, enum.Enum):
    """What a signal asks for."""

    GRACEFUL = "graceful"
    """Shut down, with the drain delay first."""
    FAST = "fast"
    """Shut down without the delay; a second such signal at once, a third ends the process."""
    IGNORE = "ignore"
    """Nothing: it is taken, so that its default does not end the process, and dropped."""

    def __str__(self) -> str:
        return self.value


def _present(**policy: Response) -> Mapping[int, Response]:
    # Windows has no SIGQUIT.
    named = ((getattr(signal, name, None), response) for name, response in policy.items())
    return MappingProxyType({number: response for number, response in named if number is not None})


DEFAULT_SIGNALS: Final[Mapping[int, Response]] = _present(
    SIGTERM=Response.GRACEFUL, SIGQUIT=Response.GRACEFUL, SIGINT=Response.FAST
)
"""SIGTERM and SIGQUIT graceful, SIGINT fast; no other signal is touched."""

# The kernel hands these to nobody.
_UNCATCHABLE = tuple(_present(SIGKILL=Response.IGNORE, SIGSTOP=Response.IGNORE))


def is_signal(number: object) -> bool:
    """Whether `number` is a signal of this platform. What only equals one, as True does, is not."""
    return (
        isinstance(number, int)
        and not isinstance(number, bool)
        and number in signal.valid_signals()
    )


def can_be_handled(number: object) -> bool:
    """Whether `number` is a signal of this platform that a program may handle."""
    return is_signal(number) and number not in _UNCATCHABLE


def check_policy(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate a field that holds a policy.

    Raises:
        SettingsError: It does not map signals that can be handled to responses.
    """
    policy: Any = value
    name = attribute.name
    if not isinstance(value, Mapping):
        raise SettingsError(name, value, "a mapping from signals to responses")
    for number, response in policy.items():
        if not can_be_handled(number):
            expected = "a signal that a program can handle on this platform"
            raise SettingsError(f"a key of {name}", number, expected)
        if not isinstance(response, Response):
            expected = "Response.GRACEFUL, FAST or IGNORE"
            raise SettingsError(f"{name}[{number!r}]", response, expected)


def read_policy(text: str) -> dict[int, Response]:
    """Read a policy as an environment variable has it: ``SIGHUP=ignore, SIGUSR1=graceful``.

    Raises:
        ValueError: It is none; the message says what would be.
    """
    policy: dict[int, Response] = {}
    for item in text.split(","):
        name, _, response = (part.strip() for part in item.partition("="))
        number = signal.Signals.__members__.get(name)
        if not can_be_handled(number) or response not in {str(known) for known in Response}:
            message = "a list such as `SIGTERM=graceful, SIGINT=fast, SIGHUP=ignore`"
            raise ValueError(message)
        policy[cast("int", number)] = Response(response)
    return policy
