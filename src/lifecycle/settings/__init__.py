"""What can be said of a run from outside: timeouts, the grace period, addresses, signals."""

from __future__ import annotations

from lifecycle.settings._settings import Settings, given_settings
from lifecycle.settings.address import parse_address
from lifecycle.settings.limits import EnvName, Limits
from lifecycle.settings.policy import DEFAULT_SIGNALS, Response
from lifecycle.settings.retry import Retry

__all__ = [
    "DEFAULT_SIGNALS",
    "EnvName",
    "Limits",
    "Response",
    "Retry",
    "Settings",
    "given_settings",
    "parse_address",
]
